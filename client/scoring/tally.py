"""What the rows of a run add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from client.scoring.rows import Row


class Tally:
    """Counts rows, errors, and pairs of true and found labels."""

    def __init__(self) -> None:
        self.rows = 0
        self.errors = 0
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add(self, row: Row) -> None:
        self.rows += 1
        self.errors += row.error is not None
        if row.true_label is not None and row.label is not None:
            self._pairs[row.true_label, row.label] += 1

    @property
    def accuracy(self) -> float | None:
        """Share of the rows with a label that have the true one; None if no truth is known."""
        known = self._pairs.total()
        right = sum(count for (true, found), count in self._pairs.items() if true == found)
        return right / known if known else None

    @property
    def confusion(self) -> dict[str, dict[str, int]] | None:
        """True label → label → rows; None if no truth is known."""
        if not self._pairs:
            return None
        matrix: dict[str, dict[str, int]] = {}
        for (true, found), count in sorted(self._pairs.items()):
            matrix.setdefault(true, {})[found] = count
        return matrix


def confusion_table(confusion: dict[str, dict[str, int]]) -> Iterator[str]:
    """Gives a confusion matrix as lines of text: rows are true labels, columns found ones."""
    columns = sorted({found for counts in confusion.values() for found in counts})
    first = max(len(name) for name in ("true label", *confusion))
    widths = [max(len(name), 6) for name in columns]
    heads = (f"{name:>{width}}" for name, width in zip(columns, widths, strict=True))
    yield "  ".join([f"{'true label':{first}}", *heads])
    for true, counts in sorted(confusion.items()):
        cells = (
            f"{counts.get(name, 0):>{width}}" for name, width in zip(columns, widths, strict=True)
        )
        yield "  ".join([f"{true:{first}}", *cells])
