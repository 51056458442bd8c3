"""Rows of text in columns, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet


def columns(
    rows: Sequence[tuple[str, ...]], right: AbstractSet[int] = frozenset()
) -> Iterator[str]:
    """Yields the rows, each column as wide as its widest cell, to the left unless in `right`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
