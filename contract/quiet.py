"""Silence for native libraries that talk while they are imported."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_import() -> Iterator[None]:
    """Hides what TensorFlow says while it is imported, such as the note that there is no GPU.

    Some of it comes from C++ before its log level counts: inside this block the process's stderr
    goes to a file, which is shown only if the import fails. A TF_CPP_MIN_LOG_LEVEL under 3 in
    the environment asks for TensorFlow's log: then nothing is hidden. 3 asks for none; a process
    that a quiet one started inherits it.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(stderr, hidden.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
