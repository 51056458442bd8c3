"""Which kind of source a user means, by its name."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Iterator, Sequence
from typing import IO

from client.scoring.contents import LocalFile
from client.scoring.errors import SourceError
from client.scoring.items import Found
from client.scoring.sources import folders, remote, tables, tars
from contract.paths import as_text

LISTS = (".txt", ".lst", ".list")
TABLES = {".csv": ",", ".tsv": "\t"}


def inputs(sources: Sequence[str], column: str) -> Iterator[Found]:
    """Gives every input of the sources, one source after the other.

    Args:
        sources: folders, globs, pictures, lists (.txt), tables (.csv, .tsv, .parquet), archives
            (.tar, .tar.gz …), and URLs of all of these.
        column: of tables, where the paths are.

    Raises:
        SourceError: a source can't be read as a whole.
    """
    for source in sources:
        yield from _of_url(source, column) if "://" in source else _of_path(source, column)


def check(sources: Sequence[str]) -> None:
    """Finds a mistyped path before anything is scored.

    Raises:
        SourceError: a path is neither there nor a glob.
    """
    for source in sources:
        there = "://" in source or os.path.lexists(source) or glob.has_magic(source)
        if not there:
            raise SourceError(f"{as_text(source)}: no such file or folder")


def can_be_counted(sources: Sequence[str]) -> bool:
    """Whether going through all names is quick beside scoring: no URLs, no archives."""
    return not any("://" in source or source.lower().endswith(tars.SUFFIXES) for source in sources)


def _of_path(source: str, column: str) -> Iterator[Found]:
    if os.path.isdir(source):  # noqa: PTH112 it may be no unicode
        return folders.pictures(source)
    if not os.path.lexists(source) and glob.has_magic(source):
        return folders.matches(source)
    if source.lower().endswith(tars.SUFFIXES):
        return tars.local_tar(source)
    if _is_listing(source):
        return _listing(source, column)
    return iter([Found(as_text(source), LocalFile(source))])


def _of_url(source: str, column: str) -> Iterator[Found]:
    path = source.partition("?")[0]
    if path.lower().endswith(tars.SUFFIXES):
        return tars.remote_tar(source, lambda: remote.open_file(source))
    if _is_listing(path):
        return _listing(source, column)
    return remote.pictures(source)


def _is_listing(path: str) -> bool:
    return path.lower().endswith((*LISTS, *TABLES, ".parquet"))


def _listing(source: str, column: str) -> Iterator[Found]:
    with _opened(source) as file:
        try:
            yield from _listed(file, source, column)
        except SourceError:
            raise
        except Exception as error:  # the network broke, or the disk
            raise SourceError(f"{as_text(source)}: {type(error).__name__}: {error}") from error


def _listed(file: IO[bytes], source: str, column: str) -> Iterator[Found]:
    kind = os.path.splitext(source.partition("?")[0])[1].lower()  # noqa: PTH122
    if kind in LISTS:
        yield from tables.text_list(file)
    elif kind == ".parquet":
        yield from tables.parquet_column(file, column, as_text(source))
    else:
        with io.TextIOWrapper(
            file, encoding="utf-8-sig", errors="surrogateescape", newline=""
        ) as text:
            yield from tables.csv_column(text, column, as_text(source), TABLES[kind])


def _opened(source: str) -> IO[bytes]:
    if "://" in source:
        return remote.open_file(source)
    try:
        return open(source, "rb")  # noqa: PTH123 closed by the caller; maybe no unicode
    except OSError as error:
        raise SourceError(f"{as_text(source)}: {error.strerror}") from error
