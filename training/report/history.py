"""A fit's history by columns, for curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from training.fitting.history import read
from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class History:
    """What was measured in each epoch.

    Attributes:
        epochs: counted from 1, ascending.
        columns: by name, a value per epoch; NaN where there is none.
    """

    epochs: tuple[int, ...] = ()
    columns: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def at(self, column: str, epoch: int | None) -> float | None:
        """Returns a value; None where there is none."""
        if column not in self.columns or epoch not in self.epochs:
            return None
        value = self.columns[column][self.epochs.index(epoch)]
        return value if math.isfinite(value) else None

    def has(self, column: str) -> bool:
        """Whether a column has any value that is a number."""
        return any(math.isfinite(value) for value in self.columns.get(column, ()))

    def total(self, column: str) -> float | None:
        """Returns the sum of a column; None where there is none."""
        values = [value for value in self.columns.get(column, ()) if math.isfinite(value)]
        return sum(values) if values else None


def read_history(path: Path) -> History:
    """Reads a history; an empty one where there is no file. What is no number becomes NaN."""
    rows = {}
    for number, row in enumerate(read(path), 1):
        epoch = row.get("epoch", math.nan)
        rows[int(epoch) if math.isfinite(epoch) else number] = row
    epochs = tuple(sorted(rows))
    names = dict.fromkeys(name for epoch in epochs for name in rows[epoch] if name != "epoch")
    columns = {name: tuple(rows[epoch].get(name, math.nan) for epoch in epochs) for name in names}
    return History(epochs, columns)


def borders(recipe: Recipe, history: History) -> list[int]:
    """Returns the epochs with which a stage ends and another one begins.

    The column `stage` says so; without it the stages have as many epochs as were asked for.
    """
    if history.has("stage"):
        stages = history.columns["stage"]
        pairs = zip(history.epochs, stages, stages[1:], strict=False)
        return [epoch for epoch, now, then in pairs if now != then]
    ends, total = [], 0
    for stage in recipe.stages[:-1]:
        total += stage.epochs
        ends.append(total)
    return [end for end in ends if end < max(history.epochs, default=0)]
