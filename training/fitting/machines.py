"""What Keras 3 lacks for a fit on several machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def prepare(model: keras.Model, example: tuple[tf.Tensor, tf.Tensor]) -> None:
    """Makes a compiled model fit under MultiWorkerMirroredStrategy; call it in its scope.

    Keras 3 stumbles over this strategy twice. It builds metrics from the mean of a batch over all
    machines, which TensorFlow refuses for a pair of tensors: here they are built from an example.
    And it averages a step's logs along an axis that scalars lack: here they have one.

    Args:
        model: compiled.
        example: a batch of inputs and targets.
    """
    model._symbolic_build(data_batch=example)
    model._maybe_symbolic_build = _nothing
    model.train_step = _with_axis(model.train_step)
    model.test_step = _with_axis(model.test_step)


def _nothing(**_: Any) -> None:
    pass


def _with_axis(step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def call(data: Any) -> dict[str, Any]:
        return {name: tf.expand_dims(value, 0) for name, value in step(data).items()}

    return call
