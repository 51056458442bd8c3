"""Regress: a number for each example, in TensorFlow Serving's words when it fails."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import regression_pb2

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

METHOD = tf.saved_model.REGRESS_METHOD_NAME
INPUTS = tf.saved_model.REGRESS_INPUTS
OUTPUTS = tf.saved_model.REGRESS_OUTPUTS


def regress(servable: Servable, request: Any, timeout_seconds: float | None = None) -> Any:
    """Answer a RegressionRequest with one version of a model.

    Args:
        servable: The version; the request's model_spec is only read for the names.
        request: The RegressionRequest.
        timeout_seconds: What is left to the caller; None for ever.

    Returns:
        The RegressionResponse.

    Raises:
        ServingError: The signature is none for this, there are no examples, or the run failed.
    """
    response = regression_pb2.RegressionResponse()
    fill_model_spec(response.model_spec, request.model_spec, servable.version)
    fill(response.result, values_of(servable, request, timeout_seconds))
    return response


def values_of(servable: Servable, request: Any, timeout_seconds: float | None = None) -> np.ndarray:
    """The numbers for a RegressionRequest, float32 [N]; see `regress`."""
    signature = asked_signature(servable, request.model_spec)
    outputs = run(
        servable, request.input, tensors(signature, servable.checks_methods), timeout_seconds
    )
    return read(signature, outputs)


def tensors(signature: Any, check_method: bool = False) -> Tensors:
    """What to feed and to fetch for a signature of a regression.

    Args:
        signature: The SignatureDef.
        check_method: Whether its method_name counts.

    Raises:
        ServingError: INVALID_ARGUMENT: it is none.
    """
    if check_method:
        require_method(signature, METHOD, "regression")
    inputs, outputs = signature.inputs, signature.outputs
    if len(inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUTS not in inputs:
        raise invalid_argument(
            "No regression inputs found in SignatureDef: " + signature_text(signature)
        )
    if OUTPUTS not in outputs:
        raise invalid_argument(
            "No regression outputs found in SignatureDef: " + signature_text(signature)
        )
    return Tensors([inputs[INPUTS].name], [outputs[OUTPUTS].name])


def read(signature: Any, outputs: Outputs) -> np.ndarray:
    """The numbers from what a run gave, float32 [N].

    Raises:
        ServingError: INVALID_ARGUMENT: a shape or a dtype that isn't one of numbers for each.
    """
    array = outputs.arrays[signature.outputs[OUTPUTS].name]
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            + shape_text(array.shape)
        )
    if len(array) != outputs.examples:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {outputs.examples} vs. {len(array)}"
        )
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {dtype_text(array)}")
    return array.reshape(-1)


def fill(result: Any, values: np.ndarray) -> None:
    """Write the numbers into a RegressionResult."""
    add = result.regressions.add
    for value in values.tolist():
        add(value=value)
