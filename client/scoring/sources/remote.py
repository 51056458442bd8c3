"""Pictures behind URLs that fsspec knows: s3://, gs://, http(s)://, memory:// and more."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import IO, Any

from client.scoring.contents import RemoteFile
from client.scoring.errors import SourceError
from client.scoring.items import Found
from client.scoring.sources.folders import is_picture
from contract.paths import as_text


def open_file(url: str) -> IO[bytes]:
    """Opens a file to be read.

    Raises:
        SourceError: there is none, it can't be opened, or no package for such URLs.
    """
    file_system, path = _file_system(url)
    try:
        return file_system.open(path, "rb")  # type: ignore[no-any-return]
    except FileNotFoundError as error:
        raise SourceError(f"{url}: no such file") from error
    except Exception as error:  # every storage has errors of its own
        raise SourceError(f"{url}: {type(error).__name__}: {error}") from error


def pictures(url: str) -> Iterator[Found]:
    """Gives the pictures below a folder, or the files that a glob matches, in order of their URLs.

    Raises:
        SourceError: there is nothing, or the storage can't be asked.
    """
    file_system, path = _file_system(url)
    try:
        if _is_web(url):
            yield Found(as_text(url), RemoteFile(url))
        elif glob.has_magic(path):
            for found in sorted(file_system.glob(path)):
                yield _found(file_system, found)
        elif file_system.isdir(path):
            yield from _below(file_system, path)
        else:
            yield Found(as_text(url), RemoteFile(url))
    except SourceError:
        raise
    except Exception as error:  # every storage has errors of its own
        raise SourceError(f"{url}: {type(error).__name__}: {error}") from error


def _below(file_system: Any, folder: str) -> Iterator[Found]:
    """Only the names of one folder at each level are held at a time."""
    levels = [_listed(file_system, folder)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif entry["type"] == "directory":
            levels.append(_listed(file_system, entry["name"]))
        elif is_picture(entry["name"].rpartition("/")[2]):
            yield _found(file_system, entry["name"])


def _listed(file_system: Any, folder: str) -> Iterator[dict[str, Any]]:
    entries = file_system.ls(folder, detail=True)
    entries.sort(key=lambda entry: entry["name"].rstrip("/"))
    # Some storages list a folder as a part of itself.
    return iter([one for one in entries if one["name"].rstrip("/") != folder.rstrip("/")])


def _found(file_system: Any, path: str) -> Found:
    url = file_system.unstrip_protocol(path)
    return Found(as_text(url), RemoteFile(url))


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _file_system(url: str) -> tuple[Any, str]:
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        raise SourceError(f"{url}: {error}") from error
    except ValueError as error:
        raise SourceError(f"{url}: {error}") from error
