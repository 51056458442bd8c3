"""Tables for a person to read in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract.pixels import PixelSpec
from training.columns import columns
from training.data.sources import SOURCES, find
from training.recipes import RECIPES
from training.recipes.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from training.evaluation.report import Report


def recipe_table() -> Iterator[str]:
    """Yields a line for each recipe, and one of heads before them."""
    rows: list[tuple[str, ...]] = [
        ("recipe", "document", "data", "input", "epochs", "parameters", "expected")
    ]
    for recipe in RECIPES.values():
        count = "" if recipe.parameters is None else f"{recipe.parameters:,}"
        cells = (recipe.name, recipe.document, recipe.data, size(recipe.input))
        rows.append((*cells, str(recipe.epochs or ""), count, recipe.expected))
    return columns(rows, right={4, 5})


def recipe_card(recipe: Recipe) -> Iterator[str]:
    """Yields a line for each thing that a recipe says."""
    rows = [
        ("document", recipe.document),
        ("task", recipe.task),
        ("data", f"{recipe.data}, {recipe.classes} classes" if recipe.classes else recipe.data),
        ("input", size(recipe.input)),
    ]
    if (backbone := recipe.backbone) is not None:
        cut = "" if backbone.cut is None else f", cut at {backbone.cut}"
        enlarged = "" if backbone.upsample is None else f", enlarged to {backbone.upsample}"
        rows.append(("backbone", f"{backbone.name}{cut}{enlarged}, weights {backbone.weights}"))
    for number, stage in enumerate(recipe.stages, 1):
        unfrozen = "" if stage.unfreeze is None else f", unfrozen from {stage.unfreeze} on"
        name = "fit" if len(recipe.stages) == 1 else f"stage {number}"
        rows.append((name, f"{stage.epochs} epochs, {optimizer(stage.optimizer)}{unfrozen}"))
    if recipe.stages:
        rows.append(("batch, seed", f"{recipe.batch}, {recipe.seed}"))
        held = f"validation {recipe.validation_share:g}, test {recipe.test_share:g}"
        rows.append(("held out", held if recipe.validation_share else "the test set alone"))
    if recipe.task == "classification":
        rows.append(("head, loss", f"{recipe.head}, {recipe.loss}"))
    for name, value in (
        ("augmentation", recipe.augmentation),
        ("stops at", recipe.stop_at_accuracy),
        ("patience", recipe.patience),
        ("headline", recipe.headline),
        ("expected", recipe.expected),
    ):
        if value:
            rows.append((name, str(value)))
    return columns(rows)


def size(spec: PixelSpec | None) -> str:
    """Returns a model's input in words: height × width × channels."""
    if spec is None:
        return "a number"
    if spec.height is None or spec.width is None:
        return f"any×{spec.channels}"
    return f"{spec.height}×{spec.width}×{spec.channels}"


def optimizer(used: Optimizer) -> str:
    """Returns an optimiser in words."""
    rate = "" if used.learning_rate is None else f" at {used.learning_rate:g}"
    decay = "" if used.decay == 1 else f", times {used.decay:g} each epoch"
    return f"{used.name}{rate}{decay}"


def dataset_table() -> Iterator[str]:
    """Yields a line for each data set, and one of heads before them."""
    rows: list[tuple[str, ...]] = [
        ("data set", "classes", "training", "validation", "test", "license", "what")
    ]
    for source in SOURCES.values():
        counts = (f"{count:,}" if count else "" for count in _counts(source.name))
        classes = str(len(source.classes) or "")
        rows.append((source.name, classes, *counts, source.license, source.title))
    return columns(rows, right={1, 2, 3, 4})


def dataset_card(name: str) -> Iterator[str]:
    """Yields a line for each thing that is known of a data set.

    Raises:
        DataError: there is none of that name.
    """
    source = find(name)
    rows = [("title", source.title), ("homepage", source.homepage), ("license", source.license)]
    rows.append(("classes", ", ".join(source.classes)))
    for part, count in zip(("training", "validation", "test"), _counts(name), strict=True):
        rows.append((part, f"{count:,}" if count else ""))
    for file in source.files:
        rows.append(("file", f"{file.url} ({file.size:,} bytes)"))
        rows.append(("  sha256", file.sha256))
    rows.append(("note", source.note))
    return columns([row for row in rows if row[1]])


def _counts(name: str) -> tuple[int, int, int]:
    source = find(name)
    return source.train, source.validation, source.test


def score_table(report: Report) -> Iterator[str]:
    """Yields how good a run is: a line per class for a classifier, with one of heads before."""
    if (found := report.classification) is None:
        return
    rows: list[tuple[str, ...]] = [("class", "precision", "recall", "f1", "pictures")]
    for entry in found.classes:
        shares = (f"{share:.4f}" for share in (entry.precision, entry.recall, entry.f1))
        rows.append((entry.label, *shares, str(entry.pictures)))
    yield from columns(rows, right={1, 2, 3, 4})
    yield f"expected calibration error {found.calibration.error:.4f}"
    for k, share in found.top_k.items():
        yield f"the true class is among the first {k}: {share:.4f}"
