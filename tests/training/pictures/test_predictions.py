"""Pictures with what a model says of them."""

import numpy as np
import pytest

from tests.training.pictures.seen import HOSTILE, has_colour, opened
from training.pictures.predictions import Prediction, predictions
from training.pictures.theme import DARK, LIGHT, Theme


def cell(
    label: int, probabilities: list[float], shape: tuple[int, ...] = (28, 28, 1)
) -> Prediction:
    return Prediction(
        pixels=np.full(shape, 200, np.uint8),
        label=label,
        probabilities=np.array(probabilities, np.float32),
    )


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_right_and_wrong_have_different_colours(theme: Theme) -> None:
    right = opened(predictions([cell(0, [0.9, 0.1])], ["cat", "dog"], theme))
    wrong = opened(predictions([cell(0, [0.1, 0.9])], ["cat", "dog"], theme))
    assert has_colour(right, theme.right)
    assert not has_colour(right, theme.wrong)
    assert has_colour(wrong, theme.wrong)


@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (1000, 1500, 3), (1, 1, 3), (30, 400, 1), (160, 160, 3)]
)
def test_pictures_of_any_size_take_the_same_room(shape: tuple[int, ...]) -> None:
    pixels = opened(predictions([cell(0, [1.0, 0.0], shape)], ["cat", "dog"], LIGHT))
    assert pixels.shape[1] == 614
    assert has_colour(pixels, "#c8c8c8")


def test_three_in_a_row() -> None:
    heights = [
        len(opened(predictions([cell(0, [1.0, 0.0])] * count, ["cat", "dog"], LIGHT)))
        for count in (1, 3, 4, 9)
    ]
    assert heights[0] == heights[1] < heights[2] < heights[3]


def test_a_hundred_classes() -> None:
    shares = np.full(100, 0.01)
    predictions([cell(99, list(shares))], [str(number) for number in range(100)], LIGHT)


def test_names_may_hold_anything() -> None:
    kinds = len(HOSTILE)
    shown = [cell(n, list(np.eye(kinds)[(n + 1) % kinds])) for n in range(kinds)]
    predictions(shown, HOSTILE, DARK)
