"""From a recipe to Keras models: uint8 pixels [N, H, W, C] in 0..255 in, scores [N, K] out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from training.networks import augmentation, backbones
from training.networks.layers import make, rescaling
from training.recipes.recipe import Recipe, without_weights


@dataclass(frozen=True)
class Network:
    """The models of one network: they share their layers, and so their weights.

    Attributes:
        fit: inputs → scores, with augmentation while it is trained.
        inference: inputs → probabilities [N, K], features [N, h, w, k] or y [N, 1].
        extractor: inputs → the backbone's features; None without a backbone. A global pool above
            the backbone, which learns nothing, belongs to it: its features are that much smaller.
        head: the backbone's features → scores; None without a backbone.
        backbone: the pretrained part of `extractor`; None without one.
    """

    fit: keras.Model
    inference: keras.Model
    extractor: keras.Model | None = None
    head: keras.Model | None = None
    backbone: keras.Model | None = None


def build(recipe: Recipe, classes: int) -> Network:
    """Builds the network of a recipe for a number of classes; only a backbone is trained already.

    Raises:
        RecipeError: the recipe names what there is not.
        WeightsError: the backbone's weights can't be had or don't fit.
    """
    with _dtype_policy(recipe.precision):
        backbone = None
        if recipe.backbone is not None and recipe.input is not None:
            assert recipe.input.height is not None
            assert recipe.input.width is not None
            side = (recipe.input.height, recipe.input.width)
            backbone = backbones.load(recipe.backbone, side)
        return _connect(recipe, classes, backbone)


def _connect(recipe: Recipe, classes: int, backbone: keras.Model | None) -> Network:
    inputs = _inputs(recipe)
    top = [*make(recipe.architecture), *_last(recipe, classes)]
    augmented = inputs
    for layer in augmentation.layers_of(recipe.augmentation):
        augmented = layer(augmented)
    name = recipe.name.replace("-", "_")
    if recipe.backbone is None or backbone is None:
        base = [rescaling()] if recipe.input is not None else []
        scores = _apply([*base, *top], inputs)
        fit = _apply([*base, *top], augmented)
        return Network(
            fit=keras.Model(inputs, fit, name=name),
            inference=keras.Model(inputs, _answer(scores, recipe, classes), name=name),
        )
    pools = [layer for layer in top[:1] if isinstance(layer, layers.GlobalAveragePooling2D)]
    prepared = _inputs(recipe)
    extractor = keras.Model(prepared, _apply(pools, _through(recipe, backbone, prepared)))
    features = keras.Input(extractor.output_shape[1:], name="features")
    head = keras.Model(features, _apply(top[len(pools) :], features), name="head")
    # Written out layer by layer: a picture of the model then shows them, and not a nested "head".
    scores = _apply(top, _through(recipe, backbone, inputs))
    fit = _apply(top, _through(recipe, backbone, augmented))
    return Network(
        fit=keras.Model(inputs, fit, name=name),
        inference=keras.Model(inputs, _answer(scores, recipe, classes), name=name),
        extractor=extractor,
        head=head,
        backbone=backbone,
    )


def _inputs(recipe: Recipe) -> Any:
    if recipe.input is None:
        return keras.Input((1,), dtype="float32", name="x")
    spec = recipe.input
    return keras.Input((spec.height, spec.width, spec.channels), dtype="uint8", name="images")


def _through(recipe: Recipe, backbone: keras.Model, pixels: Any) -> Any:
    assert recipe.backbone is not None
    # Whatever is unfrozen, the backbone's batch normalisation and dropout never see a fit.
    return backbone(backbones.preprocessed(recipe.backbone, pixels), training=False)


def _apply(chain: list[layers.Layer], tensor: Any) -> Any:
    for layer in chain:
        tensor = layer(tensor)
    return tensor


def _last(recipe: Recipe, classes: int) -> list[layers.Layer]:
    """The layer that gives the scores; float32 whatever the precision of the fit."""
    if recipe.task != "classification":
        return []
    if has_one_output(recipe, classes):
        return [layers.Dense(1, activation="sigmoid", dtype="float32", name="scores")]
    activation = None if recipe.head == "logits" else "softmax"
    return [layers.Dense(classes, activation=activation, dtype="float32", name="scores")]


def has_one_output(recipe: Recipe, classes: int) -> bool:
    """Whether the scores are a single probability: that of the second class."""
    return recipe.task == "classification" and recipe.head == "auto" and classes == 2


def _answer(scores: Any, recipe: Recipe, classes: int) -> Any:
    """What the exported model gives: probabilities [N, K] whatever the head."""
    if has_one_output(recipe, classes):
        return layers.Concatenate(name="probabilities")([1 - scores, scores])
    if recipe.task == "classification" and recipe.head == "logits":
        return layers.Softmax(dtype="float32", name="probabilities")(scores)
    return scores


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers take Keras's global policy; it is as before afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def blueprint(recipe: Recipe) -> keras.Model:
    """Returns the model that a recipe fits, with random weights: to look at its layers."""
    return build(without_weights(recipe), recipe.classes).fit
