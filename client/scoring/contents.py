"""Where the bytes of an input are, and how they are read; each kind can be pickled."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

#: The most bytes of an input: no picture is larger, and a run's memory must not depend on luck.
MOST_BYTES = 256 * 1024 * 1024
# What may pass without the file being at fault: the disk, the network or this process's limits.
_PASSING = frozenset(
    [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM]
    + [errno.EAGAIN, errno.EINTR, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN]
    + [errno.ENETUNREACH, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNREFUSED]
)


class UnreadableError(Exception):
    """The input has no bytes that can be read, now or later."""


class StorageAwayError(Exception):
    """The bytes can't be read now; it need not be the input's fault."""


class Content(Protocol):
    """Where the bytes of an input are.

    Attributes:
        storage: what fails together, such as a bucket; empty for this machine's files.
        local: whether another process of this machine can read it as well.
    """

    @property
    def storage(self) -> str: ...

    @property
    def local(self) -> bool: ...

    def read(self) -> bytes:
        """Reads all bytes.

        Raises:
            UnreadableError, StorageAwayError: as their names say.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file, or `size` bytes of it from `offset`."""

    path: str
    offset: int = 0
    size: int | None = None
    storage: str = ""
    local: bool = True

    def read(self) -> bytes:
        try:
            # Without O_NONBLOCK the opening of a named pipe waits for a writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                return self._read(file.fileno())
        except OSError as error:
            what = error.strerror or str(error)
            if error.errno in _PASSING:
                raise StorageAwayError(what) from error
            raise UnreadableError(what) from error
        except ValueError as error:  # a zero byte in the path
            raise UnreadableError(str(error)) from error

    def _read(self, descriptor: int) -> bytes:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError("Not a regular file")
        size = found.st_size if self.size is None else self.size
        check_size(size)
        parts, offset = [], self.offset
        while size > 0 and (part := os.pread(descriptor, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        if size > 0 and self.size is not None:
            raise UnreadableError("The archive ends within it")
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class InMemory:
    """Bytes that were read already."""

    data: bytes
    storage: str = ""
    local: bool = True

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class Nothing:
    """What stands for an input that can't be read: a folder without permission, say."""

    error: str
    storage: str = ""
    local: bool = True

    def read(self) -> bytes:
        raise UnreadableError(self.error)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file behind an URL that fsspec knows, or `size` bytes of it from `offset`."""

    url: str
    offset: int = 0
    size: int | None = None
    local: bool = False

    @property
    def storage(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def read(self) -> bytes:
        import fsspec

        try:
            with fsspec.open(self.url, "rb") as file:
                if self.offset:
                    file.seek(self.offset)
                data = read_bounded(file) if self.size is None else bytes(file.read(self.size))
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
            raise UnreadableError(str(error) or type(error).__name__) from error
        except UnreadableError:
            raise
        except Exception as error:  # every storage has errors of its own
            raise StorageAwayError(f"{type(error).__name__}: {error}") from error
        return data


def check_size(size: int) -> None:
    """Refuses what is too large to be a picture.

    Raises:
        UnreadableError: it is.
    """
    if size > MOST_BYTES:
        raise UnreadableError(f"{size:,} bytes are more than the {MOST_BYTES:,} of any picture")


def read_bounded(file: BinaryIO) -> bytes:
    """Reads a file to its end.

    Raises:
        UnreadableError: it is too large.
    """
    data = file.read(MOST_BYTES + 1)
    check_size(len(data))
    return data
