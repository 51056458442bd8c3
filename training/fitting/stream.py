"""From an array on disk to batches: in a new order each epoch, read while the model computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_SHARDING = tf.data.experimental.AutoShardPolicy.DATA


@dataclass(frozen=True)
class Examples:
    """A part of a data set.

    Attributes:
        inputs: [N, …], usually a memory-mapped file: pixels, or a backbone's features.
        targets: [N, …].
        positions: which of them, int64 [n].
        one_hot: number of classes where the loss wants rows of 0 and 1, else 0.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    positions: NDArray[np.int64]
    one_hot: int = 0


def usable(count: int, batch: int, replicas: int) -> int:
    """Returns how many of so many examples make batches that divide evenly among replicas.

    A replica without an example stops the fit, or makes batch normalisation's mean a division by
    zero. Of an epoch at most `replicas` − 1 examples are left out, others in each epoch.
    """
    return count - count % batch % replicas


def shuffled(
    examples: Examples, batch: int, *, first_epoch: int, epochs: int, seed: int, replicas: int = 1
) -> tf.data.Dataset:
    """Streams (inputs [B, …], targets [B, …]) over epochs `first_epoch` to `epochs` − 1.

    An epoch's order depends on the seed and its number alone: a resumed fit sees what it would have
    seen. Epochs follow without a gap, so the next one's first batch is ready when one ends; a
    batch never spans two.
    """
    positions = tf.constant(examples.positions)
    count = usable(len(examples.positions), batch, replicas)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(positions, seed=tf.stack([seed, number]))
        return tf.data.Dataset.from_tensor_slices(order[:count]).batch(batch)

    numbers = tf.data.Dataset.range(first_epoch, epochs, output_type=tf.int64)
    return _read(numbers.flat_map(epoch), examples)


def in_order(examples: Examples, batch: int, replicas: int = 1) -> tf.data.Dataset:
    """Streams (inputs [B, …], targets [B, …]) once, in order."""
    chosen = examples.positions[: usable(len(examples.positions), batch, replicas)]
    positions = tf.data.Dataset.from_tensor_slices(chosen).batch(batch)
    return _read(positions, examples)


def _read(positions: tf.data.Dataset, examples: Examples) -> tf.data.Dataset:
    inputs, targets = examples.inputs, examples.targets
    kinds = (tf.as_dtype(inputs.dtype), tf.as_dtype(targets.dtype))

    def gather(chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        return inputs[chosen], targets[chosen]

    def read(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(gather, [chosen], kinds, stateful=False)
        x = tf.ensure_shape(x, (None, *inputs.shape[1:]))
        y = tf.ensure_shape(y, (None, *targets.shape[1:]))
        return x, tf.one_hot(y, examples.one_hot) if examples.one_hot else y

    options = tf.data.Options()
    # Several machines divide the batches; there are no files to divide.
    options.experimental_distribute.auto_shard_policy = _SHARDING
    stream = positions.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.prefetch(tf.data.AUTOTUNE).with_options(options)
