"""The end of a classifier: how its last layers make probabilities of features.

Keras says only by a tensor's history which operation made it of which tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers


@dataclass(frozen=True)
class Head:
    """What is left of a classifier above its features.

    Attributes:
        features: the tensor below the last layer with weights; the logits themselves where a
            softmax follows on something else.
        logits: features [N, …] → logits [N, K] of the same dtype, whose softmax are the
            probabilities.
    """

    features: Any
    logits: Callable[[Any], Any]


def head(model: keras.Model) -> Head | None:
    """Finds the head of a model whose output are probabilities [N, K].

    Returns:
        None where it does not end with a softmax, or a sigmoid p as [1 − p, p].
    """
    operation, inputs = origin(model.outputs[0])
    if isinstance(operation, layers.Softmax):
        dense, below = origin(inputs[0])
        if _is_dense(dense, "linear"):
            return Head(below[0], _linear(dense))
        return Head(inputs[0], tf.identity)
    if _is_dense(operation, "softmax"):
        return Head(inputs[0], _linear(operation))
    if isinstance(operation, layers.Concatenate) and len(inputs) == 2:
        return _of_one_score(*inputs)
    return None


def origin(tensor: Any) -> tuple[Any, list[Any]]:
    """Returns the operation that made a tensor, and what it was made of."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node.input_tensors


def _of_one_score(first: Any, second: Any) -> Head | None:
    """The head of probabilities [1 − p, p] with p of a sigmoid."""
    (complement, of), (dense, inputs) = origin(first), origin(second)
    complements = type(complement).__name__ == "Subtract" and len(of) == 1 and of[0] is second
    if not complements or not _is_dense(dense, "sigmoid"):
        return None
    linear = _linear(dense)

    def logits(tensor: Any) -> Any:
        score = linear(tensor)  # the sigmoid of z is the softmax of −z/2 and z/2
        return tf.concat([-score, score], axis=1) / 2

    return Head(inputs[0], logits)


def _is_dense(operation: Any, activation: str) -> bool:
    return (
        isinstance(operation, layers.Dense)
        and keras.activations.serialize(operation.activation) == activation
    )


def _linear(dense: layers.Dense) -> Callable[[Any], Any]:
    """The layer without its activation."""

    def call(tensor: Any) -> Any:
        product = tf.matmul(tensor, tf.cast(dense.kernel.value, tensor.dtype))
        return product + tf.cast(dense.bias.value, tensor.dtype) if dense.use_bias else product

    return call
