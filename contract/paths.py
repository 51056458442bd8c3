"""Paths as text."""

from __future__ import annotations

import os
from pathlib import Path


def as_text(path: Path | str) -> str:
    """Returns a path as valid UTF-8; bytes of it that are none are written as \\xNN."""
    return os.fsencode(path).decode(errors="backslashreplace")
