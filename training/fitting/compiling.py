"""Loss, optimiser and class weights of a recipe, as Keras wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.networks.build import has_one_output
from training.recipes.recipe import Optimizer, Recipe

#: More at once gain nothing, and the progress bar would stand still.
_MOST_STEPS_AT_ONCE = 32
#: Input values of the steps at once: from a few million on, a step takes so much longer than its
#: call that nothing is gained, and Ctrl-C would wait for all of them.
_VALUES_AT_ONCE = 1 << 20


def compile_model(
    model: keras.Model,
    recipe: Recipe,
    optimizer: Optimizer,
    classes: int,
    steps: int,
    at_once: int = 1,
) -> None:
    """Compiles a model for a stage of a recipe.

    Args:
        classes: number of classes, 0 for a regression.
        steps: of an epoch, after which the learning rate decays.
        at_once: steps in one call of TensorFlow.
    """
    metrics = ["accuracy"] if recipe.task == "classification" else []
    loss, made = _loss(recipe, classes), _optimizer(optimizer, steps)
    model.compile(optimizer=made, loss=loss, metrics=metrics, steps_per_execution=at_once)


def steps_at_once(model: keras.Model, batch: int, steps: int) -> int:
    """Returns how many steps of a small model one call of TensorFlow makes.

    It divides the steps of an epoch: a call never takes batches of the next one. And it depends on
    nothing else but the model and the batch, so that a resumed fit computes what it would have.
    """
    values = batch * math.prod(model.input_shape[1:])
    most = max(1, min(_MOST_STEPS_AT_ONCE, _VALUES_AT_ONCE // values))
    return max(number for number in range(1, most + 1) if steps % number == 0)


def wants_one_hot(recipe: Recipe, classes: int) -> bool:
    """Whether the loss wants rows of 0 and 1 instead of class numbers."""
    one_hot = recipe.loss == "categorical_crossentropy"
    return one_hot and recipe.task == "classification" and not has_one_output(recipe, classes)


def class_weights(
    recipe: Recipe, targets: NDArray[np.int64], labels: Sequence[str]
) -> dict[int, float] | None:
    """Returns weights by class with which all classes count alike; None where not asked for.

    Args:
        targets: classes of the training pictures [N]; one that none of them has gets 1.
    """
    if not recipe.class_weights:
        return None
    from sklearn.utils.class_weight import compute_class_weight

    there = np.unique(targets)
    weights = compute_class_weight("balanced", classes=there, y=targets)
    return dict.fromkeys(range(len(labels)), 1.0) | dict(
        zip(there.tolist(), weights.tolist(), strict=True)
    )


def _loss(recipe: Recipe, classes: int) -> Any:
    if recipe.task == "regression":
        return keras.losses.MeanSquaredError()
    if has_one_output(recipe, classes):
        return keras.losses.BinaryCrossentropy()
    if wants_one_hot(recipe, classes):
        return keras.losses.CategoricalCrossentropy(from_logits=recipe.head == "logits")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=recipe.head == "logits")


def _optimizer(wanted: Optimizer, steps: int) -> keras.optimizers.Optimizer:
    made = keras.optimizers.get(wanted.name)
    rate = wanted.learning_rate
    if rate is None:
        rate = made.get_config()["learning_rate"]
    if wanted.decay != 1:
        # Counted in steps, which the saved state of the optimiser knows.
        schedules = keras.optimizers.schedules
        rate = schedules.ExponentialDecay(rate, steps, wanted.decay, staircase=True)
    return type(made)(learning_rate=rate)
