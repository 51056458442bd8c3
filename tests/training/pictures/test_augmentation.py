"""An image and its augmented versions."""

import numpy as np
import pytest
from keras import layers

from tests.training.pictures.seen import opened
from training.pictures.augmentation import preview, versions
from training.pictures.theme import DARK, LIGHT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
]

IMAGE = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def test_nine_versions_that_the_seed_decides() -> None:
    chain = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)]
    first, again, other = (versions(IMAGE, chain, seed) for seed in (1, 1, 2))
    assert len(first) == 9
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_pixels_stay_between_0_and_255() -> None:
    (version, *_) = versions(IMAGE, [layers.Rescaling(3.0, offset=-100)], 1)
    wanted = np.clip(IMAGE.astype(int) * 3 - 100, 0, 255)
    np.testing.assert_array_equal(version, wanted)


def test_without_layers_nothing_changes() -> None:
    assert all(np.array_equal(version, IMAGE) for version in versions(IMAGE, [], 1))


@pytest.mark.parametrize("pixels", [IMAGE, IMAGE[:, :, :1]], ids=["colour", "grey"])
def test_the_preview(pixels: np.ndarray) -> None:
    light, dark = (opened(preview(pixels, [layers.RandomFlip()], it, 1)) for it in (LIGHT, DARK))
    assert light.shape == dark.shape
    assert light.shape[1] > 2 * light.shape[0]
