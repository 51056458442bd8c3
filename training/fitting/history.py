"""The history of a fit: a row per epoch, and what follows from the rows alone.

Whether a stage is over and how good the best epoch was is computed from here, never remembered by a
callback: a resumed fit then goes on exactly as it would have.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path

from contract.files import write_whole
from training.recipes.recipe import Recipe, Stage

Row = dict[str, float]


def read(path: Path) -> list[Row]:
    """Returns the rows of a history; a value that is no number is not-a-number.

    A row that a kill left half written is left out, and so is what follows it.
    """
    try:
        text = path.read_text()
    except OSError:
        return []
    whole, _, _ = text.rpartition("\n")
    rows: list[Row] = []
    for row in csv.DictReader(whole.splitlines()):
        if None in row or None in row.values():
            break
        rows.append({name: _number(value) for name, value in row.items()})
    return rows


def append(path: Path, row: Row) -> None:
    """Writes a row at the end, and the names of the columns before the first one."""
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)
        file.flush()
        # The state of the epoch comes after: it is never on the disk without this row.
        os.fsync(file.fileno())


def cut(path: Path, epochs: int) -> None:
    """Keeps the first so many rows."""
    lines = path.read_bytes().splitlines(keepends=True)
    write_whole(path, b"".join(lines[: epochs + 1]))


def best_of(values: Sequence[float], monitor: str) -> int | None:
    """Returns the place of the first best value: the largest, the smallest of a loss.

    None where no value is a number.
    """
    places = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not places:
        return None
    return (min if monitor.endswith("loss") else max)(places, key=values.__getitem__)


def monitor_of(recipe: Recipe) -> str:
    """Returns the column that tells which epoch is best, where pictures are held out."""
    return "val_loss" if recipe.task == "regression" else "val_accuracy"


def is_best(rows: Sequence[Row], epoch: int, monitor: str) -> bool:
    """Whether an epoch, counted from 1, is the first best one of those up to it."""
    return best_of([row.get(monitor, math.nan) for row in rows[:epoch]], monitor) == epoch - 1


def best(rows: Sequence[Row], monitor: str) -> float | None:
    """Returns the best value of a column so far, None where there is none."""
    values = [row.get(monitor, math.nan) for row in rows]
    place = best_of(values, monitor)
    return None if place is None else values[place]


def over(rows: Sequence[Row], stage: Stage, recipe: Recipe, monitor: str | None) -> str | None:
    """Says why a stage ends before its last epoch, None if it does not.

    Args:
        rows: of this stage.
        monitor: the column that tells which epoch is best, None where nothing is held out.
    """
    if not rows or len(rows) >= stage.epochs:
        return None
    last, wanted = rows[-1], recipe.stop_at_accuracy
    if wanted is not None and last.get("accuracy", 0.0) >= wanted:
        return f"the training accuracy {last['accuracy']:.4f} has reached {wanted}"
    if math.isnan(last.get("loss", 0.0)):
        return "the loss is no number any more: a smaller learning rate may help"
    if recipe.patience is None or monitor is None:
        return None
    first = best_of([row[monitor] for row in rows], monitor)
    if first is not None and len(rows) - 1 - first >= recipe.patience:
        return f"no better validation for {recipe.patience} epochs"
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
