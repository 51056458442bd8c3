"""Arrays on disk that are either complete or not there."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from contract.files import flush


@contextlib.contextmanager
def complete_folder(target: Path) -> Iterator[Path]:
    """Gives a scratch folder that becomes `target` when the block ends without an error.

    Killed at any moment, `target` is either complete or not there. If another process was quicker,
    its folder stays and this one's is thrown away.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
        flush(scratch)
        with contextlib.suppress(FileExistsError, OSError):
            scratch.rename(target)
        if not target.is_dir():
            raise OSError(f"{scratch} could not be renamed to {target}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
