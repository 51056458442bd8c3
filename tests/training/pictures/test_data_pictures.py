"""Pictures of counts, of calibration, and of a regression."""

import numpy as np
import pytest

from tests.training.pictures.seen import HOSTILE, has_colour, opened
from training.evaluation.report import Bin, Calibration
from training.pictures.counts import chosen, counts
from training.pictures.regression import regression
from training.pictures.reliability import reliability
from training.pictures.theme import DARK, LIGHT, Theme
from training.run import ClassCounts


def row(label: str, train: int = 5, validation: int = 2, test: int = 3) -> ClassCounts:
    return ClassCounts(label=label, train=train, validation=validation, test=test)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_counts_have_the_colours_of_the_sets_that_there_are(theme: Theme) -> None:
    pixels = opened(counts([row("a", validation=0), row("b", validation=0)], theme))
    assert has_colour(pixels, theme.train)
    assert has_colour(pixels, theme.test)
    assert not has_colour(pixels, theme.validation)


def test_of_many_classes_the_largest_and_the_smallest_are_drawn() -> None:
    rows = [row(str(number), train=number) for number in range(100)]
    shown = [each.label for each in chosen(rows)]
    assert shown == [str(n) for n in [*range(99, 87, -1), *range(11, -1, -1)]]
    counts(rows, LIGHT)


def test_counts_of_odd_classes() -> None:
    counts([row(name) for name in HOSTILE], DARK)
    counts([row("empty", 0, 0, 0)], LIGHT)


def bins(*parts: tuple[int, float, float]) -> Calibration:
    made = [
        Bin(
            low=n / len(parts),
            high=(n + 1) / len(parts),
            pictures=pictures,
            confidence=confidence,
            accuracy=accuracy,
        )
        for n, (pictures, confidence, accuracy) in enumerate(parts)
    ]
    return Calibration(error=0.1, bins=tuple(made))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_what_is_too_certain_is_hatched(theme: Theme) -> None:
    certain = opened(reliability(bins((0, 0, 0), (10, 0.9, 0.5)), theme))
    modest = opened(reliability(bins((0, 0, 0), (10, 0.5, 0.9)), theme))
    assert has_colour(certain, theme.wrong)
    assert not has_colour(modest, theme.wrong)


def test_calibration_without_pictures() -> None:
    reliability(bins((0, 0, 0), (0, 0, 0)), LIGHT)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [3.0, 5.0, 7.0]])
def test_a_regression(values: list[float]) -> None:
    numbers = np.array(values, np.float32).reshape(-1, 1)
    assert has_colour(opened(regression(numbers, numbers, DARK)), DARK.background)
