"""scikit-learn's digits in a model's pixels."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from contract.pixels import PixelSpec, to_pixels
from training.data import digits
from training.recipes import find


def test_the_digits_fill_the_range_of_a_byte() -> None:
    data = digits.load(find("digits-cnn").input)
    assert data.images.shape == (1797, 28, 28, 1)
    assert data.images.dtype == np.uint8
    assert (data.images.min(), data.images.max()) == (0, 255)
    assert data.labels == tuple("0123456789")
    assert np.array_equal(data.targets, load_digits().target)
    assert data.own_test == 0


@pytest.mark.parametrize("spec", [(28, 28, 1), (8, 8, 1), (30, 20, 3)])
def test_they_are_resized_by_the_contract(spec: tuple[int, int, int]) -> None:
    height, width, channels = spec
    wanted = PixelSpec(height=height, width=width, channels=channels)
    scan = np.rint(load_digits().images[7] * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(
        digits.load(wanted).images[7], to_pixels(Image.fromarray(scan), wanted)
    )
