"""Augmentation: active in training only, and as wide as the documents say."""

import keras
import numpy as np
import pytest

from training.errors import RecipeError
from training.networks.augmentation import POLICIES, layers_of

pytestmark = pytest.mark.heavy

PICTURE = np.zeros((1, 40, 40, 3), np.float32)
PICTURE[:, 10:30, 4:12] = 200


def changed(name: str, picture: np.ndarray, *, training: bool, seed: int = 1) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    tensor = picture
    for layer in layers_of(name):
        tensor = layer(tensor, training=training)
    return np.asarray(tensor)


@pytest.mark.parametrize("name", POLICIES)
def test_it_changes_a_picture_in_training_alone(name: str) -> None:
    np.testing.assert_array_equal(changed(name, PICTURE, training=False), PICTURE)
    versions = {changed(name, PICTURE, training=True, seed=seed).tobytes() for seed in range(9)}
    assert len(versions) >= 2
    batch = changed(name, np.repeat(PICTURE, 8, axis=0), training=True)
    assert batch.min() >= 0
    assert batch.max() <= 200.001


@pytest.mark.parametrize("name", POLICIES)
def test_every_picture_of_a_batch_is_changed_in_its_own_way(name: str) -> None:
    batch = np.repeat(PICTURE, 16, axis=0)
    assert len({picture.tobytes() for picture in changed(name, batch, training=True)}) >= 2


def test_document_b_fills_with_the_nearest_pixels() -> None:
    """Whatever is moved in from outside a picture of one colour has its colour."""
    plain = np.full((8, 40, 40, 3), 77, np.float32)
    np.testing.assert_allclose(changed("document-b", plain, training=True), plain, atol=1e-3)


def test_the_documents_numbers() -> None:
    rotation, translation, shear, zoom, flip = layers_of("document-b")
    assert rotation.get_config()["factor"] == (-40 / 360, 40 / 360)
    assert translation.get_config()["height_factor"] == 0.2
    assert translation.get_config()["width_factor"] == 0.2
    assert shear.get_config()["x_factor"] == (-0.2, 0.2)
    assert zoom.get_config()["height_factor"] == 0.2
    assert flip.get_config()["mode"] == "horizontal"
    for layer in (rotation, translation, shear, zoom):
        assert layer.get_config()["fill_mode"] == "nearest"
    flip, rotation, zoom = layers_of("document-d")
    assert rotation.get_config()["factor"] == (-0.1, 0.1)
    assert zoom.get_config()["height_factor"] == 0.1


def test_no_policy_has_no_layers_and_an_unknown_one_is_an_error() -> None:
    assert layers_of(None) == []
    with pytest.raises(RecipeError, match="no augmentation 'mixup'; there are document-b"):
        layers_of("mixup")
