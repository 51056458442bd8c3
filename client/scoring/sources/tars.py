"""Pictures in tar files, as WebDataset packs them, in the order of the archive."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from lzma import LZMAError
from typing import IO, Any, Self

from client.scoring.contents import (
    Content,
    InMemory,
    LocalFile,
    Nothing,
    RemoteFile,
    UnreadableError,
    check_size,
)
from client.scoring.errors import SourceError
from client.scoring.items import Found
from client.scoring.sources.folders import is_picture
from contract.paths import as_text

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BROKEN = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, LZMAError, UnicodeError)
# The end of an archive's name → how its stream is decompressed.
_DECOMPRESSED: dict[str, Callable[[IO[bytes]], Any]] = {
    "tar": nullcontext,
    **dict.fromkeys(("gz", "tgz"), gzip.open),
    **dict.fromkeys(("bz2", "tbz2"), bz2.open),
    **dict.fromkeys(("xz", "txz"), lzma.open),
}
# Openings of an archive without a member more than before, until it is given up.
_OPENINGS = 5


class _StrictHead(tarfile.TarInfo):
    """A member's head; one that is cut off or broken is an error, not the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the end
                raise
            raise tarfile.ReadError(str(error)) from error


def local_tar(path: str) -> Iterator[Found]:
    """Gives the pictures of an archive on this machine.

    Of an uncompressed one only the heads are read: the pictures are read from their places when
    they are wanted.

    Raises:
        SourceError: the file can't be opened.
    """
    try:
        if _kind(path) != "tar":
            with open(path, "rb") as file:  # noqa: PTH123 it may be no unicode
                yield from stream(file, path)
            return
        with tarfile.open(path, "r:", tarinfo=_StrictHead) as archive:
            yield from _members(archive, path, lambda member: _slice(path, member))
    except _BROKEN as error:
        yield _broken(path, error)
    except OSError as error:
        if error.errno is None:  # how bz2 says that the data is none of its own
            yield _broken(path, error)
            return
        raise SourceError(f"{as_text(path)}: {error.strerror or error}") from error


def remote_tar(url: str, opened: Callable[[], IO[bytes]]) -> Iterator[Found]:
    """Gives the pictures of an archive that is read as a stream, again from the start if it breaks.

    Raises:
        SourceError: it can't be read.
    """
    given, failures = 0, 0
    while True:
        before = given
        try:
            with opened() as file:
                for number, found in enumerate(stream(file, url)):
                    if number >= given:
                        given += 1
                        yield found
            return
        except Exception as error:  # every storage has errors of its own
            failures = 1 if given > before else failures + 1
            if failures == _OPENINGS:
                raise SourceError(f"{url}: {type(error).__name__}: {error}") from error


def stream(file: IO[bytes], name: str) -> Iterator[Found]:
    """Gives the pictures of an archive that is read once from front to back."""
    try:
        # tarfile's own decompression takes a stream that breaks off for its end.
        with (
            _DECOMPRESSED[_kind(name)](file) as plain,
            tarfile.open(fileobj=plain, mode="r|", tarinfo=_StrictHead) as archive,
        ):
            yield from _members(archive, name, lambda member: _passing(archive, name, member))
    except _BROKEN as error:
        yield _broken(name, error)


def _members(
    archive: tarfile.TarFile,
    name: str,
    content: Callable[[tarfile.TarInfo], Content | Callable[[], Content]],
) -> Iterator[Found]:
    while (member := archive.next()) is not None:
        if member.isfile() and is_picture(os.path.basename(member.name)):  # noqa: PTH119
            yield Found(f"{as_text(name)}/{as_text(member.name)}", content(member))
        archive.members.clear()  # type: ignore[attr-defined]  # else a million pile up


def _slice(path: str, member: tarfile.TarInfo) -> Content:
    if member.issparse():
        return Nothing("a sparse file, which no picture is")
    return LocalFile(path, member.offset_data, member.size)


def _passing(archive: tarfile.TarFile, name: str, member: tarfile.TarInfo) -> Callable[[], Content]:
    def read() -> Content:
        try:
            check_size(member.size)
        except UnreadableError as error:
            return Nothing(str(error))
        try:
            file = archive.extractfile(member)
            return InMemory(file.read()) if file else Nothing("no file")
        except _BROKEN as error:
            return Nothing(f"the archive is broken within it: {error}")
        except Exception as error:  # the network broke: read it from its place, later
            if _kind(name) != "tar":
                raise SourceError(f"{name}: {type(error).__name__}: {error}") from error
            return RemoteFile(name, member.offset_data, member.size)

    return read


def _kind(name: str) -> str:
    """Returns the last part of an archive's suffix; after an URL's there may be a query."""
    path = name.partition("?")[0] if "://" in name else name
    return path.rpartition(".")[2].lower()


def _broken(name: str, error: Exception) -> Found:
    return Found(as_text(name), Nothing(f"the archive is broken from here on: {error}"))
