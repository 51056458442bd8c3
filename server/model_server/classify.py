"""Classify: labels and scores for each example, in TensorFlow Serving's words when it fails."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2

from server.model_server.errors import invalid_argument
from server.model_server.examples import (
    Outputs,
    Tensors,
    asked_signature,
    dtype_text,
    require_method,
    run,
    shape_text,
    signature_text,
)
from server.model_server.predict import fill_model_spec
from server.model_server.servable import Servable

METHOD = tf.saved_model.CLASSIFY_METHOD_NAME
INPUTS = tf.saved_model.CLASSIFY_INPUTS
CLASSES = tf.saved_model.CLASSIFY_OUTPUT_CLASSES
SCORES = tf.saved_model.CLASSIFY_OUTPUT_SCORES


@dataclass(frozen=True)
class Classes:
    """The classes of N examples, C of each.

    Attributes:
        labels: N lists of C texts, all empty if the signature has no classes.
        scores: float32 [N, C], zeros if the signature has no scores.
    """

    labels: list[list[str]]
    scores: np.ndarray


def classify(servable: Servable, request: Any, timeout_seconds: float | None = None) -> Any:
    """Answer a ClassificationRequest with one version of a model.

    Args:
        servable: The version; the request's model_spec is only read for the names.
        request: The ClassificationRequest.
        timeout_seconds: What is left to the caller; None for ever.

    Returns:
        The ClassificationResponse.

    Raises:
        ServingError: The signature is none for this, there are no examples, or the run failed.
    """
    response = classification_pb2.ClassificationResponse()
    fill_model_spec(response.model_spec, request.model_spec, servable.version)
    fill(response.result, classes_of(servable, request, timeout_seconds))
    return response


def classes_of(servable: Servable, request: Any, timeout_seconds: float | None = None) -> Classes:
    """The classes for a ClassificationRequest; see `classify`."""
    signature = asked_signature(servable, request.model_spec)
    outputs = run(
        servable, request.input, tensors(signature, servable.checks_methods), timeout_seconds
    )
    return read(signature, outputs)


def tensors(signature: Any, check_method: bool = False) -> Tensors:
    """What to feed and to fetch for a signature that classifies.

    Args:
        signature: The SignatureDef.
        check_method: Whether its method_name counts; all that TensorFlow 2 writes say predict.

    Raises:
        ServingError: INVALID_ARGUMENT: it is none.
    """
    if check_method:
        require_method(signature, METHOD, "classification")
    inputs, outputs = signature.inputs, signature.outputs
    if len(inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(outputs)}")
    if INPUTS not in inputs:
        raise invalid_argument(
            "No classification inputs found in SignatureDef: " + signature_text(signature)
        )
    fetches = [outputs[alias].name for alias in (CLASSES, SCORES) if alias in outputs]
    if not fetches:
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {signature_text(signature)}'
        )
    return Tensors([inputs[INPUTS].name], fetches)


def read(signature: Any, outputs: Outputs) -> Classes:
    """The classes from what a run gave.

    Raises:
        ServingError: INVALID_ARGUMENT: shapes or dtypes that aren't those of classes.
    """
    labels = _checked(CLASSES, "DT_STRING", signature, outputs)
    scores = _checked(SCORES, "DT_FLOAT", signature, outputs)
    if labels is not None and scores is not None and labels.shape != scores.shape:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). "
            f"Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    if labels is not None:
        # Labels are text for gRPC and for JSON: a client could read neither if they weren't UTF-8.
        texts = [[label.decode(errors="replace") for label in row] for row in labels.tolist()]
        return Classes(texts, np.zeros(labels.shape, np.float32) if scores is None else scores)
    assert scores is not None  # tensors() has made sure of one of the two.
    return Classes([[""] * scores.shape[1]] * scores.shape[0], scores)


def _checked(alias: str, dtype: str, signature: Any, outputs: Outputs) -> np.ndarray | None:
    if alias not in signature.outputs:
        return None
    array = outputs.arrays[signature.outputs[alias].name]
    if array.ndim != 2:
        raise invalid_argument(
            "Expected Tensor shape: [batch_size num_classes] but got " + shape_text(array.shape)
        )
    if dtype_text(array) != dtype:
        raise invalid_argument(f"Expected {alias} Tensor of {dtype}. Got: {dtype_text(array)}")
    if len(array) != outputs.examples:
        raise invalid_argument(
            f"Expected {alias} output batch size of {outputs.examples}. Got: {len(array)}"
        )
    return array


def fill(result: Any, classes: Classes) -> None:
    """Write the classes into a ClassificationResult."""
    for labels, scores in zip(classes.labels, classes.scores.tolist(), strict=True):
        add = result.classifications.add().classes.add
        for label, score in zip(labels, scores, strict=True):
            add(label=label, score=score)
