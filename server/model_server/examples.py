"""Classify, Regress and MultiInference alike: serialized examples in, one run, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.example import feature_pb2
from tensorflow.core.framework import types_pb2

from server.model_server.errors import invalid_argument
from server.model_server.predict import DEFAULT_SIGNATURE
from server.model_server.servable import Servable


@dataclass(frozen=True)
class Tensors:
    """Names of the tensors (`x:0`) that signatures are run with; each feed gets the examples."""

    feeds: list[str]
    fetches: list[str]


@dataclass(frozen=True)
class Outputs:
    """What one run gave.

    Attributes:
        examples: How many examples went in.
        arrays: What came out by tensor name; strings as bytes in arrays of objects.
    """

    examples: int
    arrays: dict[str, np.ndarray]


def asked_signature(servable: Servable, spec: Any) -> Any:
    """The signature that a request's ModelSpec names.

    Raises:
        ServingError: INVALID_ARGUMENT: there is none (Predict says FAILED_PRECONDITION).
    """
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return servable.signatures[name]


def require_method(signature: Any, method: str, what: str) -> None:
    """Refuse a signature whose method_name is another.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if signature.method_name != method:
        raise invalid_argument(
            f"Expected {what} signature method_name to be {method}. Was: {signature.method_name}"
        )


def run(
    servable: Servable, sent: Any, tensors: Tensors, timeout_seconds: float | None = None
) -> Outputs:
    """Run a version once on the examples of a request.

    Args:
        servable: The version.
        sent: The request's Input.
        tensors: What to feed with the examples, and what to compute.
        timeout_seconds: After which the session gives up; None never.

    Raises:
        ServingError: INVALID_ARGUMENT: there are no examples; else what the run failed with.
    """
    examples = serialized(sent)
    values = servable.run(dict.fromkeys(tensors.feeds, examples), tensors.fetches, timeout_seconds)
    arrays = {n: _array(value) for n, value in zip(tensors.fetches, values, strict=True)}
    return Outputs(len(examples), arrays)


def serialized(sent: Any) -> np.ndarray:
    """The examples of an Input, each serialized behind the context that all of them share.

    Bytes put together merge as messages, so a graph reads both as one tf.Example.

    Returns:
        bytes [N] in an array of objects.

    Raises:
        ServingError: INVALID_ARGUMENT: there are none.
    """
    kind = sent.WhichOneof("kind")
    if kind is None:
        raise invalid_argument("Input is empty.")
    examples = getattr(sent, kind)
    # A list of messages is a list of bytes on the wire. Read as that it comes apart in one go,
    # three times as fast as when each example is serialized by itself.
    parts = list(feature_pb2.BytesList.FromString(examples.SerializeToString()).value)
    if not parts:
        raise invalid_argument("Input is empty.")
    if kind == "example_list_with_context":
        context = examples.context.SerializeToString()
        parts = [context + part for part in parts]
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def _array(value: Any) -> np.ndarray:
    # NumPy's own bytes type would drop trailing zero bytes.
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def signature_text(signature: Any) -> str:
    """The signature for an error text, its maps in order; `str` would give them in any order."""
    return text_format.MessageToString(signature)


def shape_text(shape: Sequence[int]) -> str:
    """`[2,3]`, as TensorFlow writes a shape."""
    return f"[{','.join(map(str, shape))}]"


def dtype_text(array: np.ndarray) -> str:
    """`DT_FLOAT`, as protos name a dtype."""
    return types_pb2.DataType.Name(tf.dtypes.as_dtype(array.dtype).as_datatype_enum)
