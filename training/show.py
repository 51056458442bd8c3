"""Tables for a person to read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from training.recipes import RECIPES, Recipe

_RECIPE = "{:14} {:9} {:14} {:11} {:>6} {:>10}  {}"
_CLASS = "{:24} {:>9} {:>9} {:>9} {:>9}"


def recipe_table() -> Iterator[str]:
    """Yields a line for each recipe, and one of heads before them."""
    yield _RECIPE.format("recipe", "document", "data", "input", "epochs", "parameters", "expected")
    for recipe in RECIPES.values():
        size = f"{recipe.input.height}×{recipe.input.width}×{recipe.input.channels}"
        cells = (recipe.name, recipe.document, recipe.data, size, recipe.epochs)
        yield _RECIPE.format(*cells, f"{recipe.parameters:,}", recipe.expected)


def recipe_card(recipe: Recipe) -> Iterator[str]:
    """Yields a line for each field of a recipe."""
    for key, value in dataclasses.asdict(recipe).items():
        yield f"{key:17} {value}"


def class_table(report: Path) -> Iterator[str]:
    """Yields a line for each class of a run's report, and one of heads before them."""
    yield _CLASS.format("class", "precision", "recall", "f1", "pictures")
    for entry in json.loads(report.read_bytes())["classes"]:
        numbers = (f"{entry[key]:.4f}" for key in ("precision", "recall", "f1"))
        yield _CLASS.format(entry["label"], *numbers, entry["pictures"])
