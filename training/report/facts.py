"""The numbers of a run that are worth being large."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.evaluation.report import Classification
from training.report import words
from training.report.material import Material


@dataclass(frozen=True)
class Fact:
    """A number: what it is, how much, and what to know of it."""

    name: str
    value: str
    note: str = ""


def facts(material: Material) -> list[Fact]:
    """Returns a run's numbers, the most important first."""
    report = material.report
    found: list[Fact] = []
    if report.classification is not None:
        found += _scores(report.classification)
    if report.regression is not None:
        error = report.regression
        found += [
            Fact("mean absolute error", words.number(error.mean_absolute_error)),
            Fact("mean squared error", words.number(error.mean_squared_error)),
        ]
    if report.features is not None:
        found.append(Fact("features of a picture", words.shape(report.features.shape)))
    return [*found, *_of_model(material), *_of_fit(material)]


def gap(material: Material) -> str:
    """Says how far training and validation accuracy are apart at the kept epoch; may be empty."""
    history, kept = material.history, material.kept
    training, validation = history.at("accuracy", kept), history.at("val_accuracy", kept)
    if training is None or validation is None:
        return ""
    return (
        f"Epoch {kept} was kept: training {words.percent(training)}, validation"
        f" {words.percent(validation)}, a gap of {words.points(training - validation)} points."
    )


def interval(share: float, pictures: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share that was measured on so many pictures."""
    if not pictures:
        return 0.0, 1.0
    z = 1.96
    scale = 1 + z * z / pictures
    middle = (share + z * z / (2 * pictures)) / scale
    spread = z * math.sqrt(share * (1 - share) / pictures + (z / (2 * pictures)) ** 2) / scale
    return max(0.0, middle - spread), min(1.0, middle + spread)


def _scores(found: Classification) -> list[Fact]:
    rows = [sum(row) for row in found.confusion_matrix]
    pictures, kinds = sum(rows), len(rows)
    low, high = interval(found.accuracy, pictures)
    note = f"of {pictures:,} pictures; the 95% interval is {low:.1%} to {high:.1%}"
    guess = words.percent(max(rows, default=0) / max(pictures, 1))
    top = [
        Fact(f"top-{k} accuracy", words.percent(share))
        for k, share in sorted(found.top_k.items())
        if 1 < k < kinds
    ]
    return [
        Fact("test accuracy", words.percent(found.accuracy), note),
        *top,
        Fact("largest class alone", guess, "the accuracy to beat"),
        Fact("test loss", words.number(found.loss, 3), f"guessing evenly: {math.log(kinds):.3f}"),
        Fact("calibration error", words.number(found.calibration.error, 3), "ECE; 0 is best"),
    ]


def _of_model(material: Material) -> list[Fact]:
    if material.model is None:
        return []
    planned, now = material.config.recipe.parameters, material.model.count_params()
    note = "" if planned in (None, now) else f"{words.count(planned)} in the recipe's own form"
    return [Fact("parameters", words.count(now), note)]


def _of_fit(material: Material) -> list[Fact]:
    history, kept = material.history, material.kept
    if not history.epochs:
        return []
    note = f"{len(history.epochs)} of {material.config.recipe.epochs} ran"
    seconds = history.total("seconds")
    if seconds is not None:
        note += f", in {words.duration(seconds)}"
    return [Fact("epoch kept", words.NONE if kept is None else str(kept), note)]
