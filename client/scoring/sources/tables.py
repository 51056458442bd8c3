"""Paths of text lists and of the columns of tables; a Parquet column may hold the pictures."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import IO, Any

from client.scoring.contents import InMemory, LocalFile, Nothing, RemoteFile
from client.scoring.errors import SourceError
from client.scoring.items import Found
from contract.paths import as_text

# Rows of a Parquet file that are held at a time; fewer where they hold the pictures.
_ROWS, _ROWS_OF_PICTURES = 4096, 16


def named(path: str) -> Found:
    """Returns the input behind a path or an URL, as lists and tables have them."""
    if "://" in path:
        return Found(as_text(path), RemoteFile(path))
    return Found(as_text(path), LocalFile(path) if path else Nothing("no path"))


def text_list(file: IO[bytes]) -> Iterator[Found]:
    """Gives a path per line, relative to the working folder; empty lines are left out."""
    for line in file:
        if path := line.rstrip(b"\r\n"):
            yield named(os.fsdecode(path))


def csv_column(file: IO[str], column: str, source: str, delimiter: str) -> Iterator[Found]:
    """Gives the paths of a column of a table that has its columns' names in the first line.

    Raises:
        SourceError: it has no such column.
    """
    rows = csv.reader(file, delimiter=delimiter)
    try:
        place = _place(next(rows, []), column, source)
        for row in rows:
            if row:
                yield named(row[place] if place < len(row) else "")
    except csv.Error as error:
        raise SourceError(f"{source}, line {rows.line_num}: {error}") from error


def parquet_column(file: IO[bytes], column: str, source: str) -> Iterator[Found]:
    """Gives the paths of a column, or the pictures in it.

    A column of bytes, or of structs with a member `bytes` (as data sets of Hugging Face have
    them), holds pictures; their names are the file's with the row's number.

    Raises:
        SourceError: it is no Parquet file, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        schema = table.schema_arrow
        kind = schema.field(_place(schema.names, column, source)).type
        many = _ROWS if pa.types.is_string(kind) else _ROWS_OF_PICTURES
        number = 0
        for batch in table.iter_batches(batch_size=many, columns=[column]):
            for value in batch.column(0):
                yield _of_value(value.as_py(), f"{source}#{number}")
                number += 1
    except pa.ArrowException as error:
        raise SourceError(f"{source}: {error}") from error


def _of_value(value: Any, name: str) -> Found:
    data = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(value, dict) and data is None:
        data = value.get("path")
    if isinstance(data, bytes):
        return Found(as_text(name), InMemory(data))
    if isinstance(data, str):
        return named(data)
    return Found(as_text(name), Nothing("neither a path nor a picture"))


def _place(heads: list[str], column: str, source: str) -> int:
    if column not in heads:
        known = ", ".join(heads) or "none"
        raise SourceError(f"{source}: no column {column!r}; --column names one of: {known}")
    return heads.index(column)
