"""JSON values to TensorProtos and arrays back to JSON values, by TensorFlow Serving's REST rules.

What fits is read a level at a time, as fast as lists of Python allow; only what doesn't fit is
walked value by value, for the error text that says where and why.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from server.model_server.errors import TEXT_LIMIT, ServingError, invalid_argument, unimplemented
from server.model_server.predict import spoken

BASE64 = "b64"
BYTES_SUFFIX = "_bytes"
"""String outputs whose names end like this are bytes, not text."""

_READ: dict[int, Any] = {
    types_pb2.DT_FLOAT: np.float32,
    types_pb2.DT_DOUBLE: np.float64,
    types_pb2.DT_INT8: np.int8,
    types_pb2.DT_INT16: np.int16,
    types_pb2.DT_INT32: np.int32,
    types_pb2.DT_INT64: np.int64,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_UINT32: np.uint32,
    types_pb2.DT_UINT64: np.uint64,
    types_pb2.DT_BOOL: np.bool_,
}

_WRITTEN = {np.dtype(kind) for kind in _READ.values()} | {np.dtype(np.float16)}

_TYPES = {type(None): "Null", str: "String", list: "Array", dict: "Object"}


def quoted(value: Any) -> str:
    """The value as JSON, for an error text: cut, since it may be a whole request."""
    text = ""
    for piece in json.JSONEncoder().iterencode(value):
        text += piece
        if len(text) > TEXT_LIMIT // 2:
            return text[: TEXT_LIMIT // 2] + "..."
    return text


def type_name(value: Any) -> str:
    """`Object`, `True`: what a JSON value is, in error texts."""
    return str(value) if type(value) is bool else _TYPES.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Whether the value is `{"b64": "…"}`, an element of a string tensor."""
    return type(value) is dict and len(value) == 1 and type(value.get(BASE64)) is str


def to_proto(value: Any, dtype: int) -> Any | None:
    """The tensor of a nested list or a single value; None if the value isn't one of that dtype."""
    flat = _flatten(value)
    if flat is None:
        return None
    shape, leaves = flat
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    if not leaves:
        return proto
    if dtype == types_pb2.DT_STRING:
        try:
            proto.string_val.extend([to_bytes(leaf) for leaf in leaves])
        except ServingError:
            return None
        return proto
    array = _numbers(leaves, _READ[dtype]) if dtype in _READ else None
    if array is None:
        return None
    proto.tensor_content = array.tobytes()
    return proto


def _flatten(value: Any) -> tuple[list[int], list[Any]] | None:
    """The shape and the leaves in order; None if lists at one level differ in length."""
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list:
        sizes = {len(entry) if type(entry) is list else -1 for entry in level}
        if len(sizes) > 1:
            return None
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return shape, level


def _numbers(leaves: Sequence[Any], dtype: Any) -> np.ndarray | None:
    types = set(map(type, leaves))
    kind = np.dtype(dtype).kind
    if kind == "f":
        return decimals(leaves, dtype) if types <= {int, float} else None
    if not types <= {bool if kind == "b" else int}:
        return None
    if kind != "b":
        limits = np.iinfo(dtype)
        if min(leaves) < limits.min or max(leaves) > limits.max:
            return None
    return np.array(leaves, dtype)


def decimals(leaves: Sequence[Any], dtype: Any) -> np.ndarray | None:
    """The leaves, all int or float, in a floating dtype; None if one doesn't fit into it."""
    limits = np.finfo(dtype)
    most = 2 ** (limits.nmant + 1) - 1
    for leaf in leaves:
        # Only whole numbers of up to 64 bits must be exact; longer ones are decimals there.
        if type(leaf) is int and abs(leaf) > most and -(2**63) <= leaf < 2**64:
            return None
    try:
        array = np.array(leaves, np.float64)
    except OverflowError:
        return None
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    # What becomes infinite is too large. The shortest text of the largest float is a little more
    # than it; TensorFlow Serving would refuse it, though it is its own answer.
    return narrow if np.array_equal(np.isinf(narrow), np.isinf(array)) else None


def to_bytes(value: Any) -> bytes:
    """The element of a string tensor that a JSON value says: text, or base64.

    Raises:
        ServingError: INVALID_ARGUMENT: it says none.
    """
    if type(value) is str:
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid_argument(
                "JSON Parse error: The surrogate pair in string is invalid."
            ) from None
    if type(value) is not dict:
        raise _type_error(value, types_pb2.DT_STRING)
    if not is_base64(value):
        raise invalid_argument(
            f"JSON Value: {quoted(value)} not formatted correctly for base64 data"
        )
    text = "".join(value[BASE64].split())
    try:
        # TensorFlow Serving takes it without padding, too.
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise invalid_argument("Unable to base64 decode") from None


def check(value: Any, dtype: int) -> list[int]:
    """Say why a value is no tensor of that dtype, as TensorFlow Serving does.

    Returns:
        The shape, if there is nothing wrong with it.

    Raises:
        ServingError: INVALID_ARGUMENT, or UNIMPLEMENTED for a dtype that JSON can't carry.
    """
    shape: list[int] = []
    first = value
    while type(first) is list:
        shape.append(len(first))
        first = first[0] if first else None
    _walk(value, 0, shape, dtype)
    return shape


def _walk(value: Any, level: int, shape: list[int], dtype: int) -> None:
    rank = len(shape)
    if type(value) is not list:
        if level != rank:
            raise invalid_argument(
                f"JSON Value: {quoted(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {rank}"
            )
        _check_leaf(value, dtype)
        return
    if level >= rank:
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for entry in value:
        _walk(entry, level + 1, shape, dtype)


def _check_leaf(value: Any, dtype: int) -> None:
    if dtype == types_pb2.DT_STRING:
        to_bytes(value)
    elif dtype not in _READ and type(value) is not dict:
        raise unimplemented(f"Conversion of JSON Value: {quoted(value)} to type: {_name(dtype)}")
    elif dtype not in _READ or _numbers([value], _READ[dtype]) is None:
        if dtype in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE) and type(value) in (int, float):
            raise invalid_argument(
                f"Cannot convert JSON value: {quoted(value)} to {_name(dtype)} without loss of "
                "precision."
            )
        raise _type_error(value, dtype)


def _type_error(value: Any, dtype: int) -> ServingError:
    return invalid_argument(
        f"JSON Value: {quoted(value)} Type: {type_name(value)} is not of expected type: "
        f"{_name(dtype)}"
    )


def _name(dtype: int) -> str:
    return spoken(tf.dtypes.as_dtype(dtype))


def to_json(name: str, array: np.ndarray) -> Any:
    """The nested list, or the single value, that says an output in JSON.

    Args:
        name: The output's; see BYTES_SUFFIX.
        array: Strings as bytes in an array of objects.

    Raises:
        ServingError: INVALID_ARGUMENT: TensorFlow Serving has no JSON for the dtype.
    """
    if array.dtype == object:
        return _strings(array, name.endswith(BYTES_SUFFIX))
    if array.dtype not in _WRITTEN:
        dtype = spoken(tf.dtypes.as_dtype(array.dtype))
        raise invalid_argument(f"Failed to write JSON value for tensor type: {dtype}")
    if array.dtype in (np.float16, np.float32):
        # 0.1 and not 0.10000000149011612: the double with the digits of the shortest text that
        # gives the same float, which Python then writes with these digits.
        return array.astype(np.float32).astype("U").astype(np.float64).tolist()
    return array.tolist()


def _strings(array: np.ndarray, as_base64: bool) -> Any:
    values = np.empty(array.size, object)
    for index, value in enumerate(array.ravel().tolist()):
        # TensorFlow Serving would copy bytes that aren't UTF-8 into its answer, which then is
        # no JSON that a client could read.
        values[index] = (
            {BASE64: base64.b64encode(value).decode()}
            if as_base64
            else value.decode(errors="replace")
        )
    return values.reshape(array.shape).tolist()
