"""Pictures of folders and globs on this machine, in the order of their paths.

Only the names of one folder at each level are held at a time.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from client.scoring.contents import LocalFile, Nothing
from client.scoring.items import Found
from contract.paths import as_text
from contract.pixels import SUFFIXES


def pictures(folder: str) -> Iterator[Found]:
    """Gives every file below a folder with a picture's suffix; hidden names are left out.

    Links are followed, except one that leads back to where it is in. What can't be listed is one
    input that can't be read, so that it is not lost in silence.
    """
    for found in _walk(folder):
        if isinstance(found, Found):
            yield found
        elif is_picture(found.name):
            yield _file(found.path)


def matches(pattern: str) -> Iterator[Found]:
    """Gives every file that a glob matches; `**` stands for any number of folders."""
    parts = pattern.split(os.sep)  # noqa: PTH206 a path would lose an empty part
    fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    base, rest = os.sep.join(parts[:fixed]), parts[fixed:]  # noqa: PTH118
    if fixed and not base:
        base = os.sep
    depth = None if "**" in rest else len(rest)
    for found in _walk(base or os.curdir, depth):
        if isinstance(found, Found):
            yield found
            continue
        below = Path(os.path.relpath(found.path, base or os.curdir)).parts
        if _fits(below, rest):
            yield _file(found.path if base else str(Path(*below)))


def is_picture(name: str) -> bool:
    """Tells by a file's name whether it is a picture that wants to be seen."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")  # noqa: PTH122


def _file(path: str) -> Found:
    return Found(as_text(path), LocalFile(path))


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        skipped = bool(parts) and not parts[0].startswith(".") and _fits(parts[1:], patterns)
        return skipped or _fits(parts, patterns[1:])
    if not parts or (parts[0].startswith(".") and not patterns[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder on the way down: what of it is still to come, and which folder it is."""

    entries: Iterator[os.DirEntry[str]]
    identity: tuple[int, int]


def _walk(folder: str, depth: int | None = None) -> Iterator[os.DirEntry[str] | Found]:
    """Gives the files below a folder in the order of their paths, down to so many levels."""
    first = _level(folder)
    if isinstance(first, Found):
        yield first
        return
    levels = [first]
    while levels:
        entry = next(levels[-1].entries, None)
        if entry is None:
            levels.pop()
        elif not _is_folder(entry):
            yield entry
        elif depth is None or len(levels) < depth:
            below = _level(entry.path)
            if isinstance(below, Found):
                yield below
            elif below.identity not in {level.identity for level in levels}:
                levels.append(below)


def _level(folder: str) -> _Level | Found:
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        return Found(as_text(folder), Nothing(f"the folder can't be listed: {error.strerror}"))
    return _Level(iter(found), (status.st_dev, status.st_ino))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
