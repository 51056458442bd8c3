"""The confusion matrix as a picture."""

import numpy as np
import pytest

from tests.training.pictures.seen import HOSTILE, has_colour, opened
from training.pictures.confusion import confusion
from training.pictures.theme import DARK, LIGHT, Theme

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("classes", [2, 6, 7, 20, 21, 100])
def test_it_is_drawn_for_any_number_of_classes(classes: int, theme: Theme) -> None:
    labels = [f"class {number}" for number in range(classes)]
    pixels = opened(confusion(np.eye(classes, dtype=np.int64) * 9, labels, theme))
    # All of a class is on its diagonal: the scale's last colour.
    assert has_colour(pixels, theme.sequential[-1])
    assert min(pixels.shape[:2]) >= 700


def test_a_class_without_pictures_has_no_share() -> None:
    matrix = np.array([[0, 0], [1, 3]])
    assert not has_colour(opened(confusion(matrix, ["a", "b"], LIGHT)), LIGHT.sequential[-1])


def test_names_may_hold_anything() -> None:
    confusion(np.ones((len(HOSTILE),) * 2, dtype=np.int64), HOSTILE, LIGHT)
