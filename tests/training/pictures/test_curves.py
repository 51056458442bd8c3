"""Curves over the epochs."""

import math

import numpy as np
import pytest

from tests.training.pictures.seen import opened
from training.pictures.curves import Line, curves
from training.pictures.theme import DARK, LIGHT, Theme

COLOUR = "#aa0088"


def line(values: list[float], **options: object) -> Line:
    epochs = range(1, len(values) + 1)
    return Line(label="training", epochs=epochs, values=values, colour=COLOUR, **options)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_lines_have_their_colour_on_the_theme_s_background(theme: Theme) -> None:
    pixels = opened(curves([line([0.2, 0.5, 0.9], kept=2)], theme, title="Accuracy", kept=2))
    assert "#" + "".join(f"{part:02x}" for part in pixels[0, 0]) == theme.background
    assert (pixels == [0xAA, 0x00, 0x88]).all(axis=2).sum() > 500


@pytest.mark.parametrize(
    "values",
    [
        [0.5],
        [0.5, math.nan, 0.7],
        [math.nan, math.nan],
        [math.inf, 1.0],
        [1e30, 2e30],
        [],
        [0.0] * 500,
    ],
    ids=["one epoch", "gap", "nothing", "infinite", "huge", "empty", "500 epochs"],
)
@pytest.mark.parametrize("percent", [True, False])
def test_odd_values_are_drawn(values: list[float], percent: bool) -> None:
    curves([line(values)], LIGHT, title="Loss", percent=percent, kept=1, borders=[1])


def test_many_lines_make_the_picture_higher_not_wider() -> None:
    few = opened(curves([line([1, 2])], LIGHT, title="Loss"))
    many = opened(curves([line([1, 2])] * 12, LIGHT, title="Loss"))
    assert many.shape[1] == few.shape[1]
    assert many.shape[0] > few.shape[0]


def test_a_logarithmic_axis() -> None:
    shown = [curves([line([1e-3, 1e-5])], LIGHT, title="Rate", logarithmic=it) for it in (0, 1)]
    assert not np.array_equal(*map(opened, shown))
