"""Arrays on disk that are either complete or not there."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from contract.files import flush

#: What the system says when a disk, or the user's share of it, is full.
DISK_FULL = frozenset([errno.ENOSPC, errno.EDQUOT])


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


def lacking_space(folder: Path, needed: int) -> str | None:
    """Returns None if a folder's disk has room for so many bytes, else what to tell the user.

    Args:
        folder: need not be there yet.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        free = shutil.disk_usage(there).free
    except OSError:  # what can't be asked can't be known; writing will tell
        return None
    if needed <= free:
        return None
    return f"needs {in_words(needed)} on the disk of {folder}, which has {in_words(free)} free"


def in_words(size: int) -> str:
    """Returns a number of bytes as people say it: 13.2 GB."""
    number = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
