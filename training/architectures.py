"""The documents' networks in Keras: uint8 pixels [N, H, W, C] in 0..255 in, scores [N, K] out."""

from __future__ import annotations

import keras
from keras import layers

from training.errors import RecipeError
from training.recipes import Recipe


def build(recipe: Recipe, classes: int) -> keras.Model:
    """Builds the untrained network of a recipe for a number of classes.

    The division by 255 is a layer of the model, since the exported artifact must carry it; the
    documents divide outside.

    Returns:
        a model from uint8 [N, H, W, C] to float32 [N, classes]: probabilities or logits, as
        `recipe.head` says.
    """
    if recipe.architecture not in _LAYERS:
        raise RecipeError(f"recipe {recipe.name}: no architecture {recipe.architecture!r}")
    spec = recipe.input
    scores = layers.Dense(classes, activation="softmax" if recipe.head == "softmax" else None)
    return keras.Sequential(
        [
            keras.Input((spec.height, spec.width, spec.channels), dtype="uint8", name="images"),
            layers.Rescaling(1 / 255),
            *_LAYERS[recipe.architecture](),
            scores,
        ],
        name=recipe.architecture,
    )


def with_probabilities(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Returns the model for inference: the same weights, probabilities out whatever the head."""
    images = keras.Input(model.input_shape[1:], dtype="uint8", name="images")
    scores = model(images)
    probabilities = layers.Softmax()(scores) if recipe.head == "logits" else scores
    return keras.Model(images, probabilities, name=recipe.name.replace("-", "_"))


def _fashion_cnn() -> list[layers.Layer]:
    """Document A 4.2."""
    return [
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ]


def _flowers_cnn() -> list[layers.Layer]:
    """Document D."""
    blocks: list[layers.Layer] = []
    for filters in (16, 32, 64):
        blocks += [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
        ]
    return [*blocks, layers.Flatten(), layers.Dense(128, activation="relu")]


_LAYERS = {"fashion_cnn": _fashion_cnn, "flowers_cnn": _flowers_cnn}
