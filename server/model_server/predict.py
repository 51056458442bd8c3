"""Predict: checks in TensorFlow Serving's order and words, one run, the outputs as protos."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from server.model_server.errors import ServingError, invalid_argument, names
from server.model_server.servable import Servable
from server.model_server.tensors import UndecodableError, as_dtype, decode, encode

DEFAULT_SIGNATURE = "serving_default"

METHODS = (
    tf.saved_model.PREDICT_METHOD_NAME,
    tf.saved_model.CLASSIFY_METHOD_NAME,
    tf.saved_model.REGRESS_METHOD_NAME,
)

CHECKED_RANK = 3
"""From this declared rank on, a tensor of another rank is refused: handed to a convolution it can
abort the whole process. Below it TensorFlow Serving's clients rely on sending, say, rank 1 for 2.
"""


def predict(
    servable: Servable,
    request: Any,
    timeout_seconds: float | None = None,
    as_content: bool = False,
    contents: Mapping[str, memoryview] = MappingProxyType({}),
) -> Any:
    """Answer a PredictRequest with one version of a model.

    Args:
        servable: The version; the request's model_spec is only read for the names.
        request: The PredictRequest.
        timeout_seconds: What is left to the caller; None for ever.
        as_content: Answer with tensor_content instead of typed lists.
        contents: By alias, tensor_content that was taken out of the request; see predict_call.

    Returns:
        The PredictResponse.

    Raises:
        ServingError: The request doesn't fit the signature, or its run failed.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    if servable.checks_methods and signature.method_name not in METHODS:
        raise ServingError(
            grpc.StatusCode.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(METHODS)}}}. "
            f"Was: {signature.method_name}",
        )
    arrays = read_inputs(signature, request.inputs, contents)
    aliases = chosen_outputs(signature, request.output_filter)
    check_dtypes(signature, arrays)
    check_ranks(signature, arrays)
    values = servable.run(
        feeds(signature, arrays),
        [signature.outputs[alias].name for alias in aliases],
        timeout_seconds,
    )
    response = predict_pb2.PredictResponse()
    fill_model_spec(response.model_spec, request.model_spec, servable.version)
    for alias, value in zip(aliases, values, strict=True):
        response.outputs[alias].CopyFrom(encode(value, as_content))
    return response


def feeds(signature: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays by the names of their tensors instead of aliases.

    Raises:
        ServingError: INVALID_ARGUMENT: two aliases stand for one tensor.
    """
    by_name: dict[str, np.ndarray] = {}
    for alias, array in arrays.items():
        name = signature.inputs[alias].name
        if name in by_name:
            raise invalid_argument(f'Endpoint "{name}" fed more than once.')
        by_name[name] = array
    return by_name


def fill_model_spec(spec: Any, asked: Any, version: int) -> None:
    """Say in an answer's ModelSpec who answered: the model, the resolved signature, the version."""
    spec.name = asked.name
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    spec.version.value = version


def read_inputs(
    signature: Any, sent: Any, contents: Mapping[str, memoryview] = MappingProxyType({})
) -> dict[str, np.ndarray]:
    """The arrays to feed, by alias: what was sent, else the signature's defaults.

    Raises:
        ServingError: INVALID_ARGUMENT: the names don't fit, or a tensor can't be decoded.
    """
    declared, defaults = signature.inputs, signature.defaults
    if len(sent) > len(declared) or (len(sent) < len(declared) and not defaults):
        raise invalid_argument(_size_mismatch(sent, declared))
    arrays = {}
    for alias in sorted(declared):
        # `in` first: indexing a protobuf map with a missing key would add the key.
        if alias in sent:
            arrays[alias] = _decoded(alias, sent[alias], contents.get(alias))
        elif alias in defaults:
            arrays[alias] = _decoded(alias, defaults[alias], None)
        else:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {declared[alias].name}) not found in "
                "request and no default value provided. Inputs expected to be in the request "
                f"{{{names(sent)}}}, or default input alias set: {names(defaults)}"
            )
    if any(alias not in declared for alias in sent):
        used = names(alias for alias in sent if alias in declared)
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {used}, "
            f"request input: {names(sent)}"
        )
    return arrays


def _size_mismatch(sent: Iterable[str], declared: Iterable[str]) -> str:
    got, want = set(sent), set(declared)
    return (
        f"input size does not match signature: {len(got)}!={len(want)} "
        f"len({{{names(got)}}}) != len({{{names(want)}}}). "
        f"Sent extra: {{{names(got - want)}}}. Missing but required: {{{names(want - got)}}}."
    )


def _decoded(alias: str, proto: Any, content: memoryview | None) -> np.ndarray:
    try:
        return decode(proto, content)
    except UndecodableError as error:
        raise invalid_argument(f"tensor parsing error: {alias}") from error


def chosen_outputs(signature: Any, output_filter: Sequence[str]) -> list[str]:
    """The aliases to compute: those asked for, or all.

    Raises:
        ServingError: INVALID_ARGUMENT for an unknown or a repeated one.
    """
    if not output_filter:
        return sorted(signature.outputs)
    chosen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{names(signature.outputs)}}}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen


def check_dtypes(signature: Any, arrays: dict[str, np.ndarray]) -> None:
    """Refuse what the session would refuse, in its words; it numbers feeds by tensor name.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    order = sorted(arrays, key=lambda alias: signature.inputs[alias].name)
    for index, alias in enumerate(order):
        want = as_dtype(signature.inputs[alias].dtype)
        got = as_dtype(arrays[alias].dtype)
        if got != want:
            raise invalid_argument(
                f"Expects arg[{index}] to be {spoken(want)} but {spoken(got)} is provided"
            )


def spoken(dtype: Any) -> str:
    """The C++ name of a dtype: `float` for Python's `float32`."""
    return {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name, dtype.name)


def check_ranks(signature: Any, arrays: dict[str, np.ndarray]) -> None:
    """Refuse ranks that could abort the process; see CHECKED_RANK.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    for alias, array in arrays.items():
        shape = signature.inputs[alias].tensor_shape
        rank = len(shape.dim)
        if not shape.unknown_rank and rank >= CHECKED_RANK and array.ndim != rank:
            raise invalid_argument(
                f"input {alias} must have rank {rank} as in its signature, not rank {array.ndim}"
            )
