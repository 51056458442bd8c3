"""Archives: downloaded, verified and unpacked into folders that are complete or not there."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import IO

from training.data import folder
from training.data.cache import DISK_FULL, complete_folder, in_words, lacking_space
from training.data.dataset import DataRequest, DataSet, Say
from training.data.download import download
from training.data.sources import File, Source
from training.errors import SourceError

# Photographs hardly shrink: what unpacks to much more than the archive is a bomb.
_MOST_GROWTH = 20
_ALWAYS_ALLOWED = 1 << 26
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
)


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    size: int
    usable: bool
    open: Callable[[], IO[bytes] | None]


def class_folders(source: Source, request: DataRequest, say: Say) -> DataSet:
    """Returns a data set whose archives hold class folders, one archive for each part.

    Raises:
        DataError: it could not be had or used.
    """
    roots = {}
    for file in source.files:
        assert file.part is not None
        roots[file.part] = fetch(source, file, request.cache, say) / file.folder
    return folder.load_parts(
        roots,
        replace(
            request,
            # Archives may hold other folders beside the classes.
            classes=request.classes or source.classes,
            skip_bad=request.skip_bad or source.skip_bad,
        ),
        say,
        name=source.name,
        source=source.homepage,
    )


def fetch(source: Source, file: File, cache: Path, say: Say) -> Path:
    """Returns the folder of an archive's content, from the cache or from its address.

    Raises:
        SourceError: it could not be had; the text says what to do.
    """
    target = cache / source.name / (file.part or "all")
    if target.is_dir():
        say(f"{source.name}: from the cache {target}")
        return target
    try:
        archive = download(file.url, cache / file.name, file.sha256, size=file.size)
        unpack(archive, target)
    except SourceError as error:
        raise unavailable(source, error) from error
    archive.unlink(missing_ok=True)  # another process may have been as far
    say(f"{source.name}: from {file.url}")
    return target


def unavailable(source: Source, error: SourceError) -> SourceError:
    """Returns the error that says why a data set can't be had, and what to do."""
    return SourceError(
        f"{source.name} can't be had: {error}\n"
        "Give a folder of class folders or an .npz file instead: --data DIR or --data FILE.npz"
    )


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a zip or tar archive into a folder that is complete or not there.

    Raises:
        SourceError: no such archive, a broken one, one that reaches out of the folder, holds links
            or devices, or unpacks to far more than an archive of pictures would; a full disk.
    """
    try:
        packed = archive.stat().st_size
        lacks = lacking_space(target.parent, packed)
        if lacks:
            raise SourceError(f"{archive.name}: {lacks}")
        most = max(_MOST_GROWTH * packed, _ALWAYS_ALLOWED)
        with complete_folder(target) as scratch:
            size = 0
            for member in _members(archive):
                size += member.size
                _check(archive, member, size, most)
                _write(member, scratch)
    except _BROKEN as error:
        raise SourceError(f"{archive.name} is broken: {error}") from error
    except OSError as error:
        what = "no space left" if error.errno in DISK_FULL else str(error)
        raise SourceError(f"{archive.name} can't be unpacked into {target}: {what}") from error


def _check(archive: Path, member: _Member, size: int, most: int) -> None:
    # Windows knows both separators and the drives.
    path = PureWindowsPath(member.name)
    if path.anchor or ".." in path.parts:
        raise SourceError(f"{archive.name}: {member.name!r} would lie outside the folder")
    if not member.usable:
        raise SourceError(f"{archive.name}: {member.name!r} is neither a file nor a folder")
    if size > most:
        raise SourceError(f"{archive.name} would unpack to more than {in_words(most)}")


def _write(member: _Member, folder: Path) -> None:
    content = member.open()
    if content is None:  # a folder: it comes with its files
        return
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for entry in file.infolist():
                yield _zip_member(file, entry)
    else:
        with tarfile.open(archive) as tar:
            for part in tar:
                yield _tar_member(tar, part)


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    # The type in the mode is 0 where the archive was made on a system without such modes.
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return _Member(
        name=entry.filename,
        size=entry.file_size,  # zipfile never gives more than that
        usable=kind in (0, stat.S_IFREG, stat.S_IFDIR),
        open=lambda: None if entry.is_dir() else archive.open(entry),
    )


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    return _Member(
        name=entry.name,
        size=entry.size,
        usable=entry.isreg() or entry.isdir(),
        open=lambda: None if entry.isdir() else archive.extractfile(entry),
    )
