"""What a model's layers make of an image."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.training.pictures.seen import opened
from training.pictures import feature_maps
from training.pictures.theme import DARK, LIGHT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
]


def model_of(*body: layers.Layer, side: int = 8, channels: int = 1) -> keras.Model:
    inputs = keras.Input((side, side, channels), dtype="uint8")
    tensor = layers.Rescaling(1.0)(inputs)
    for layer in body:
        tensor = layer(tensor)
    return keras.Model(inputs, tensor)


def image(side: int = 8, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (side, side, channels), dtype=np.uint8)


def test_each_channel_is_normalised() -> None:
    maps = np.stack([np.array([[0.0, 2.0], [4.0, 6.0]]), np.full((2, 2), 0.1)], axis=2)
    made = feature_maps.normalised(maps.astype(np.float32))
    deviation = np.sqrt(5)
    wanted = [np.clip((x - 3) / deviation * 64 + 128, 0, 255) for x in (0, 2, 4, 6)]
    np.testing.assert_array_equal(made[:, :, 0].ravel(), np.array(wanted).astype(np.uint8))
    np.testing.assert_array_equal(made[:, :, 1], 128)


def test_far_values_are_clipped() -> None:
    maps = np.zeros((10, 10, 1), np.float32)
    maps[0, 0], maps[0, 1] = 1000, -1000
    made = feature_maps.normalised(maps)
    assert made[0, 0, 0] == 255
    assert made[0, 1, 0] == 0


def test_a_pooling_layer_s_strip_is_what_it_computes() -> None:
    picture = image()
    (strip,) = feature_maps.strips(model_of(layers.MaxPooling2D(name="pool")), picture)
    pooled = picture[:, :, 0].astype(np.float32).reshape(4, 2, 4, 2).max(axis=(1, 3))
    wanted = (pooled - pooled.mean()) / pooled.std() * 64 + 128
    assert strip.name == "pool"
    np.testing.assert_allclose(strip.pixels, np.clip(wanted, 0, 255), atol=1.001)


def test_channels_are_side_by_side() -> None:
    convolution = layers.Conv2D(3, 1, name="conv")
    model = model_of(convolution)
    convolution.set_weights([np.array([1.0, -1.0, 0.0]).reshape(1, 1, 1, 3), np.zeros(3)])
    (strip,) = feature_maps.strips(model, image())
    assert strip.pixels.shape == (8, 24)
    first, second, third = np.hsplit(strip.pixels.astype(int), 3)
    assert np.abs(first + second - 256).max() <= 1 + 255 * ((first == 0) | (second == 0)).any()
    assert (third == 128).all()


def test_layers_of_a_model_in_a_model_are_found_and_left_as_they_were() -> None:
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, padding="same", name="inner_conv"),
            layers.DepthwiseConv2D(3, name="inner_depthwise"),
            layers.SeparableConv2D(2, 3, name="inner_separable"),
        ],
        name="backbone",
    )
    model = model_of(layers.Rescaling(1 / 255), inner, layers.AveragePooling2D(2, name="pool"))
    before = np.asarray(model(image()[np.newaxis]))
    made = feature_maps.strips(model, image())
    assert [strip.name for strip in made] == [
        "inner_conv",
        "inner_depthwise",
        "inner_separable",
        "pool",
    ]
    assert all("call" not in vars(layer) for layer in feature_maps.layers_with_maps(model))
    np.testing.assert_array_equal(np.asarray(model(image()[np.newaxis])), before)


def test_at_most_24_layers_and_16_channels() -> None:
    body = [layers.Conv2D(20, 1, name=f"conv_{number}") for number in range(30)]
    model = model_of(*body, side=4)
    made = feature_maps.strips(model, image(4))
    assert len(made) == 24
    assert (made[0].name, made[-1].name) == ("conv_0", "conv_29")
    assert {(strip.shown, strip.channels) for strip in made} == {(16, 20)}
    assert "24 of the 30" in feature_maps.caption(model)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_of_the_strips(channels: int) -> None:
    model = model_of(layers.Conv2D(4, 3), layers.MaxPooling2D(), channels=channels)
    picture = image(channels=channels)
    made = feature_maps.strips(model, picture)
    light, dark = (
        opened(feature_maps.feature_maps(made, picture, theme)) for theme in (LIGHT, DARK)
    )
    assert light.shape == dark.shape
    assert light.shape[1] == 614
