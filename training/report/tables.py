"""The tables of a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.pictures.confusion import MOST_NUMBERS
from training.report import words
from training.report.material import Material

_MOST_ROWS = 12


@dataclass(frozen=True)
class Table:
    """A table: the first `texts` columns are text, the others are numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def counts(material: Material) -> Table | None:
    """Returns the pictures of each class in each set, and the sums."""
    classes = material.facts.classes
    if not classes:
        return None
    lines = [(row.label, row.train, row.validation, row.test) for row in classes]
    sums = [sum(column) for column in list(zip(*lines, strict=True))[1:]]
    rows = [
        (str(label), *(words.count(n) for n in numbers), words.count(sum(numbers)))
        for label, *numbers in [*lines, ("all", *sums)]
    ]
    return Table(("class", "training", "validation", "test", "all"), tuple(rows))


def classes(material: Material) -> Table | None:
    """Returns precision, recall and F1 of each class; a class without test pictures has none."""
    found = material.report.classification
    if found is None:
        return None
    rows = []
    for row in found.classes:
        scores = (row.precision, row.recall, row.f1)
        cells = (words.percent(share) if row.pictures else words.NONE for share in scores)
        rows.append((row.label, *cells, words.count(row.pictures)))
    return Table(("class", "precision", "recall", "F1", "pictures"), tuple(rows))


def confusion(material: Material) -> Table | None:
    """Returns the confusion matrix where it has so few classes that it can be read."""
    found, labels = material.report.classification, material.config.labels
    if found is None or len(labels) > MOST_NUMBERS:
        return None
    pairs = zip(labels, found.confusion_matrix, strict=True)
    rows = tuple((label, *(words.count(n) for n in row)) for label, row in pairs)
    return Table(("true \\ predicted", *labels), rows)


def mistakes(material: Material) -> Table | None:
    """Returns the worst mistakes."""
    found = material.report.classification
    if found is None or not found.mistakes:
        return None
    rows = tuple(
        (
            row.file or f"test picture {row.position}",
            row.label,
            row.predicted,
            words.percent(row.probability),
            words.percent(row.probability_of_label),
        )
        for row in found.mistakes[:_MOST_ROWS]
    )
    heads = ("picture", "is", "predicted", "its probability", "of the true class")
    return Table(heads, rows, texts=3)


def regression(material: Material) -> Table | None:
    """Returns inputs, true and predicted values of some of a regression's test set."""
    if material.report.regression is None or not len(material.targets):
        return None
    shown = np.linspace(0, len(material.targets) - 1, min(len(material.targets), _MOST_ROWS))
    columns = (material.inputs, material.targets, material.outputs)
    rows = tuple(
        tuple(words.number(float(np.ravel(column[int(n)])[0])) for column in columns) for n in shown
    )
    return Table(("x", "true", "predicted"), rows, texts=0)


def layers(material: Material) -> Table | None:
    """Returns the model's layers with output shapes and parameters."""
    if material.model is None:
        return None
    from training.networks import summary

    rows = tuple(
        (
            row.name,
            row.kind,
            words.shape(row.shape[1:]),
            words.count(row.parameters) + (" frozen" if row.frozen else ""),
        )
        for row in summary.rows(material.model)
    )
    return Table(("layer", "type", "output", "parameters"), rows, texts=2)
