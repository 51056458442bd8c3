"""Files and folders that are complete or not there, whenever the process or machine stops."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is complete or as it was before."""
    scratch = path.with_name(path.name + ".part")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def flush(folder: Path) -> None:
    """Brings a folder with all that is in it to the disk, so that it can be renamed into place."""
    for path in (*folder.rglob("*"), folder):
        if path.is_file() or path.is_dir():  # a link may lead nowhere
            flush_one(path)


def flush_one(path: Path) -> None:
    """Brings one file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
