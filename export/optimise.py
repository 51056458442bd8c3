"""Makes a classifier quicker: constant weights, and bfloat16 where the CPU multiplies it.

With weights that are constants, whoever loads the graph prepares them once: normalisations are
folded into convolutions, and TensorFlow's rewriter for bfloat16 turns them into it, which it would
do anew in every run if they were variables. Whether it does is the model server's choice at load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import config_pb2

from contract.manifest import Change, Optimisation
from contract.processor import bfloat16_instructions
from contract.run_folder import RunFolder
from export.errors import ExportError
from export.head import Head
from export.signatures import Weights

_BATCH = 32


def constant_weights(model: keras.Model) -> Weights:
    """Returns what makes a model that is traced in it read constants instead of its variables."""
    values = [(variable, keras.ops.convert_to_numpy(variable)) for variable in model.variables]

    def opened() -> Any:
        # Made anew in each graph, as a part of it.
        mapping = [(variable, tf.constant(value)) for variable, value in values]
        return keras.StatelessScope(state_mapping=mapping)

    return opened


def exact(head: Head) -> Head:
    """Returns a head that computes in float64, which no rewriter touches.

    In bfloat16 a probability would have two to three digits, the labels of a picture would often
    be tied, and rows would not sum to 1. The head is a thousandth of a model's work.
    """
    return replace(head, logits=lambda features: head.logits(tf.cast(features, tf.float64)))


def predict(model: keras.Model, head: Head) -> Callable[[Any], Any]:
    """Returns images [N, H, W, C] → probabilities float32 [N, K] by way of the head."""
    below = keras.Model(model.inputs, head.features)

    def call(images: Any) -> Any:
        logits = head.logits(below(images, training=False))
        return tf.cast(tf.nn.softmax(logits), tf.float32)

    return call


def measure(function: Any, run: RunFolder, max_change: float) -> Optimisation:
    """Runs an optimised `serving_default` over the run's whole test set, on the CPU.

    Args:
        function: without variables.
        run: what its plain model says of the test set is the reference.
        max_change: bound on the change of a probability.

    Raises:
        ExportError: a probability changes by more.
    """
    concrete = function.get_concrete_function()
    instructions = bfloat16_instructions()
    return Optimisation(
        examples=len(run.test_set()[1]),
        accuracy=_accuracy(run.outputs(), run.test_set()[1]),
        max_change=max_change,
        float32=_change(concrete, run, max_change, bfloat16=False),
        bfloat16=_change(concrete, run, max_change, bfloat16=True) if instructions else None,
        bfloat16_by=instructions,
    )


def _change(concrete: Any, run: RunFolder, max_change: float, *, bfloat16: bool) -> Change:
    inputs, targets = run.test_set()
    expected = np.asarray(run.outputs())
    got = np.concatenate(list(_answers(concrete, inputs, bfloat16)))
    difference = np.abs(got - expected)
    largest = float(difference.max())
    if not largest <= max_change:  # not-a-number is no small change either
        raise ExportError(
            f"optimised in {'bfloat16' if bfloat16 else 'float32'}, a probability changes by"
            f" {largest:.2g}, more than {max_change:g} (--max-change); nothing was published"
        )
    return Change(
        accuracy=_accuracy(got, targets),
        changed_labels=int((got.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        mean_probability=float(difference.mean()),
        max_probability=largest,
    )


def _answers(concrete: Any, inputs: NDArray[Any], bfloat16: bool) -> Iterator[NDArray[np.float32]]:
    """Yields what a session, as a model server has one, answers to each batch."""
    config = config_pb2.ConfigProto(device_count={"GPU": 0})
    if bfloat16:
        rewriters = config.graph_options.rewrite_options
        rewriters.auto_mixed_precision_onednn_bfloat16 = rewriters.ON
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        tf.import_graph_def(concrete.graph.as_graph_def(), name="")
        taken, given = concrete.inputs[0].name, concrete.outputs[0].name
        for start in range(0, len(inputs), _BATCH):
            yield session.run(given, {taken: inputs[start : start + _BATCH]})


def _accuracy(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) == targets).mean())
