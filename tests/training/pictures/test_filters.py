"""Kernels as pictures."""

import numpy as np
import pytest

from tests.training.pictures.seen import has_colour, opened
from training.pictures.filters import caption, filters, scaled
from training.pictures.theme import DARK, LIGHT

pytestmark = pytest.mark.heavy


def test_weights_are_scaled_to_0_and_1() -> None:
    kernel = np.array([-2.0, 0.0, 2.0, 6.0]).reshape(2, 2, 1, 1)
    np.testing.assert_allclose(scaled(kernel).ravel(), [0, 0.25, 0.5, 1])


def test_equal_weights_are_grey() -> None:
    np.testing.assert_array_equal(scaled(np.full((3, 3, 1, 1), 7.0)), 0.5)


def test_a_weight_that_is_no_number_spoils_no_other() -> None:
    kernel = np.array([np.nan, -1.0, 1.0, 0.0]).reshape(2, 2, 1, 1)
    np.testing.assert_allclose(scaled(kernel).ravel(), [0.5, 0, 1, 0.5])


def test_black_and_white_are_the_smallest_and_the_largest() -> None:
    kernel = np.linspace(-1, 1, 9).reshape(3, 3, 1, 1)
    pixels = opened(filters(kernel, LIGHT))
    assert has_colour(pixels, "#000000")
    assert has_colour(pixels, "#808080")


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("count", [1, 5, 16, 512])
def test_any_kernel_is_drawn(channels: int, count: int) -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 5, channels, count))
    assert opened(filters(kernel, DARK)).shape[1] == 768


def test_what_is_left_out_is_said() -> None:
    assert "the first 16 of 64 filters" in caption(np.zeros((3, 3, 1, 64)))
    assert "the first 8 of 32" in caption(np.zeros((3, 3, 32, 16)))
    assert "all 16 filters" in caption(np.zeros((3, 3, 32, 16)))
    assert "red, green, blue" in caption(np.zeros((3, 3, 3, 4)))
