"""Outputs as files: JSON lines, CSV or Parquet, told by the suffix; written and read row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from client.scoring.errors import OutputError
from client.scoring.rows import Ranked, Row

_COLUMNS = Row.__struct_fields__
# Of a Parquet row group: rows, and probabilities of all of them together, at most.
_GROUP, _GROUP_NUMBERS = 8192, 1_000_000


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """Writes a line for each row; what it has not is left out."""
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Writes a line for each row after the columns' names; lists are JSON."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)  # its line ends are RFC 4180's: only so are all of them quoted
        writer.writerow(_COLUMNS)
        writer.writerows([_cell(getattr(row, name)) for name in _COLUMNS] for row in rows)


def write_parquet(path: Path, rows: Iterable[Row]) -> None:
    """Writes a table; lists are lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ranked = pa.struct([("label", pa.string()), ("probability", pa.float64())])
    kinds = {
        "index": pa.int64(),
        "probability": pa.float64(),
        "top_k": pa.list_(ranked),
        "probabilities": pa.list_(pa.float32()),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(rows):
            whole = [{"top_k": [], **msgspec.to_builtins(row)} for row in group]
            writer.write_table(pa.Table.from_pylist(whole, schema))


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    numbers = 0
    for row in rows:
        group.append(row)
        numbers += len(row.probabilities or ())
        if len(group) == _GROUP or numbers >= _GROUP_NUMBERS:
            yield group
            group, numbers = [], 0
    if group:
        yield group


def read_jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Row)


def read_csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            given = {
                name: _value(name, cell) for name, cell in cells.items() if cell or name == "path"
            }
            yield msgspec.convert(given, Row, strict=False)


def read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(batch_size=_GROUP):
        for row in batch.to_pylist():
            given = {name: value for name, value in row.items() if value is not None}
            yield msgspec.convert(given, Row)


#: Suffix → how rows are written and read.
FORMATS: dict[
    str, tuple[Callable[[Path, Iterable[Row]], None], Callable[[Path], Iterator[Row]]]
] = {
    ".jsonl": (write_jsonl, read_jsonl),
    ".csv": (write_csv, read_csv),
    ".parquet": (write_parquet, read_parquet),
}


def check(out: Path) -> None:
    """Finds an output that can't be written before anything is scored.

    Raises:
        OutputError: the suffix is unknown, or the folder is not there.
        ModuleNotFoundError: Parquet needs pyarrow.
    """
    if out.suffix not in FORMATS:
        raise OutputError(f"{out}: the suffix is one of {', '.join(FORMATS)}")
    if out.is_dir():
        raise OutputError(f"{out} is a folder")
    if not out.parent.is_dir():
        raise OutputError(f"{out.parent}: no such folder")
    if out.suffix == ".parquet":
        import pyarrow.parquet  # noqa: F401


def write(path: Path, suffix: str, rows: Iterable[Row]) -> None:
    """Writes rows in the format of a suffix."""
    FORMATS[suffix][0](path, rows)


def read(path: Path) -> Iterator[Row]:
    """Gives the rows of an output.

    Raises:
        OutputError: the file is none.
    """
    check(path)
    try:
        yield from FORMATS[path.suffix][1](path)
    except (ValueError, csv.Error) as error:
        raise OutputError(f"{path}: {error}") from error


def _cell(value: Any) -> Any:
    if value is None or value == ():
        return ""
    return msgspec.json.encode(value).decode() if isinstance(value, tuple) else value


def _value(name: str, cell: str) -> Any:
    if name == "top_k":
        return msgspec.json.decode(cell, type=list[Ranked])
    return msgspec.json.decode(cell) if name == "probabilities" else cell
