"""A classifier cut at its last feature map: where, and that its halves are the whole."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from export.cut import cut
from export.head import head
from tests.export.helpers import KERAS_AND_NUMPY
from training.networks.build import build
from training.recipes import find
from training.recipes.recipe import without_weights

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]

INPUT = (12, 12, 3)


def images(count: int = 3, shape: tuple[int, int, int] = INPUT) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, *shape), dtype=np.uint8)


def conv(name: str) -> Any:
    return layers.Conv2D(4, 3, activation="relu", padding="same", name=name)


def softmax() -> Any:
    return layers.Dense(3, activation="softmax")


def chain(*parts: Any) -> Any:
    inputs = keras.Input(INPUT, dtype="uint8")
    tensor = layers.Rescaling(1 / 255)(inputs)
    for part in parts:
        tensor = part(tensor)
    return keras.Model(inputs, tensor)


def nested(*parts: Any, of: int = 3) -> Any:
    inputs = tensor = keras.Input((*INPUT[:2], of))
    for part in parts:
        tensor = part(tensor)
    return keras.Model(inputs, tensor)


def branches(tensor: Any) -> Any:
    both = [conv("left")(tensor), conv("right")(tensor)]
    return layers.Concatenate(name="joined")(both)


def residual(tensor: Any) -> Any:
    first = conv("first")(tensor)
    return layers.Add(name="sum")([first, conv("second")(first)])


def one_score(tensor: Any) -> Any:
    score = layers.Dense(1, activation="sigmoid")(tensor)
    return layers.Concatenate()([1 - score, score])


def logits(tensor: Any) -> Any:
    return layers.Softmax()(layers.Dense(3, use_bias=False)(tensor))


def dropouts() -> list[Any]:
    return [layers.SpatialDropout2D(0.2), layers.Dropout(0.2)]


def normalised(name: str) -> list[Any]:
    return [layers.BatchNormalization(), layers.ReLU(name=name)]


def pool() -> Any:
    return layers.MaxPooling2D()


def mean() -> Any:
    return layers.GlobalAveragePooling2D()


def flat() -> Any:
    return layers.Flatten()


# how the layers of a chain are made, and the one whose output is the last feature map
CHAINS: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "convolution, pool": (lambda: [conv("c"), pool(), flat(), softmax()], "c"),
    "the last of two": (lambda: [conv("c"), pool(), conv("d"), pool(), flat(), softmax()], "d"),
    "mean over the map": (lambda: [conv("c"), mean(), softmax()], "c"),
    "a mean pool": (lambda: [conv("c"), layers.AveragePooling2D(2), flat(), softmax()], "c"),
    "pool, dropouts": (lambda: [conv("c"), pool(), *dropouts(), flat(), softmax()], "c"),
    "with normalisation": (lambda: [conv("c"), *normalised("r"), pool(), flat(), softmax()], "r"),
    "a dense layer above": (lambda: [conv("c"), flat(), layers.Dense(5, "relu"), softmax()], "c"),
    "branches": (lambda: [branches, pool(), flat(), softmax()], "joined"),
    "a residual block": (lambda: [residual, mean(), softmax()], "sum"),
    "depthwise": (lambda: [layers.DepthwiseConv2D(3, name="c"), mean(), softmax()], "c"),
    "logits": (lambda: [conv("c"), flat(), logits], "c"),
    "one score": (lambda: [conv("c"), flat(), one_score], "c"),
    "nested": (lambda: [nested(conv("c")), flat(), softmax()], "c"),
    "nested, its pool too": (lambda: [nested(conv("c"), pool()), flat(), softmax()], "c"),
    "nested, with its mean": (lambda: [nested(conv("c"), mean()), one_score], "c"),
    "nested, nothing between": (lambda: [nested(conv("c"), flat()), softmax()], "c"),
    "nested twice": (lambda: [nested(nested(conv("c"), pool())), pool(), flat(), softmax()], "c"),
    "one above a nested": (lambda: [nested(conv("c")), conv("d"), flat(), softmax()], "d"),
    "nested without one": (lambda: [conv("c"), nested(pool(), of=4), flat(), softmax()], "c"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_halves_are_the_whole(name: str) -> None:
    parts, layer = CHAINS[name]
    model = chain(*parts())
    halves = cut(model, head(model))
    assert halves is not None
    assert halves.layer == layer
    features = halves.below(images())
    assert len(features.shape) == 4
    assert features.shape[1] >= (6 if layer == "d" else 10)  # as before the pools above it
    answers = keras.activations.softmax(halves.above(features))
    np.testing.assert_allclose(answers, model(images(), training=False), atol=1e-6)


def two_heads(tensor: Any) -> Any:
    return layers.Add()([flat()(tensor), flat()(tensor)])


def two_answers(tensor: Any) -> Any:
    return layers.Concatenate()([softmax()(tensor) / 2, softmax()(tensor) / 2])


UNCUT: dict[str, Callable[[], list[Any]]] = {
    "dense": lambda: [flat(), layers.Dense(5, "relu"), softmax()],
    "pixels that are pooled": lambda: [pool(), flat(), softmax()],
    "no probabilities": lambda: [conv("c"), flat(), layers.Dense(3)],
    "a feature map": lambda: [conv("c")],
    "two ways from the map": lambda: [conv("c"), two_heads, softmax()],
    "answers that are joined": lambda: [conv("c"), flat(), two_answers],
}


@pytest.mark.parametrize("name", UNCUT)
def test_what_cannot_be_cut_is_told(name: str) -> None:
    model = chain(*UNCUT[name]())
    assert cut(model, head(model)) is None


@pytest.mark.parametrize(
    ("recipe", "classes", "layer"),
    [
        ("fashion-mlp-128", 10, None),
        ("fashion-cnn-regularized", 10, "re_lu_3"),
        ("tema3-gap", 2, "conv2d_1"),
        ("mobilenet-v2-transfer", 5, "out_relu"),
        ("vgg16-feature-extraction", 2, "block5_conv3"),
    ],
)
def test_recipes(recipe: str, classes: int, layer: str | None) -> None:
    found = without_weights(find(recipe))
    assert found.input is not None
    model = build(found, classes).inference
    halves = cut(model, head(model))
    assert (halves.layer if halves else None) == layer
    if halves is not None:
        side = found.input.height or 0
        pixels = images(2, (side, side, found.input.channels))
        answers = keras.activations.softmax(halves.above(halves.below(pixels)))
        np.testing.assert_allclose(answers, model(pixels, training=False), atol=1e-6)
