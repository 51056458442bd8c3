"""TensorProto to NumPy and back, by TensorFlow Serving's rules.

`tf.make_ndarray` follows other rules (it refuses surplus values and numbers that overflow), so
the common forms are read here, and what is rare by TensorFlow's own parser.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from server.model_server.memory import LARGE, Guard
from server.model_server.wire_format import framed

LARGEST_BYTES = 2**31 - 1
"""Largest tensor read. One value and a huge shape fit into a few bytes of message, and would be
repeated until the memory is full; no tensor_content can be larger than this, the limit of a
message."""


class UndecodableError(Exception):
    """The proto is not a tensor; the caller names it in the error."""


@dataclass(frozen=True)
class _Field:
    """How a dtype travels as a typed list: the field, the type of its values, the tensor's."""

    name: str
    wire: type
    dtype: Any


_FIELDS: dict[int, _Field] = {
    types_pb2.DT_FLOAT: _Field("float_val", np.float32, np.float32),
    types_pb2.DT_DOUBLE: _Field("double_val", np.float64, np.float64),
    types_pb2.DT_INT8: _Field("int_val", np.int32, np.int8),
    types_pb2.DT_INT16: _Field("int_val", np.int32, np.int16),
    types_pb2.DT_INT32: _Field("int_val", np.int32, np.int32),
    types_pb2.DT_UINT8: _Field("int_val", np.int32, np.uint8),
    types_pb2.DT_UINT16: _Field("int_val", np.int32, np.uint16),
    types_pb2.DT_INT64: _Field("int64_val", np.int64, np.int64),
    types_pb2.DT_UINT32: _Field("uint32_val", np.uint32, np.uint32),
    types_pb2.DT_UINT64: _Field("uint64_val", np.uint64, np.uint64),
    types_pb2.DT_BOOL: _Field("bool_val", np.bool_, np.bool_),
}

_HALVES = {types_pb2.DT_HALF: np.float16, types_pb2.DT_BFLOAT16: tf.bfloat16.as_numpy_dtype}


as_dtype = functools.lru_cache(64)(tf.dtypes.as_dtype)
"""TensorFlow's own takes as long as all else that a small request needs."""


def decode(proto: Any, content: memoryview | None = None) -> np.ndarray:
    """The tensor of a TensorProto.

    Args:
        proto: The TensorProto.
        content: Its tensor_content, if that was taken out of it; see predict_call.

    tensor_content beats the typed list; a list too short repeats its last value, an empty one
    gives zeros, surplus values are dropped; a shape of unknown rank reads as scalar.

    Returns:
        An array of the proto's dtype and shape (strings: dtype object, elements bytes). It may
        share memory with the proto or the content, and be read-only.

    Raises:
        ServingError: RESOURCE_EXHAUSTED: there is not the memory for it.
        UndecodableError: No dtype, a negative dimension, tensor_content of a wrong size, or more
            than LARGEST_BYTES.
    """
    shape = _shape(proto)
    count = math.prod(shape)
    try:
        size = count * max(as_dtype(proto.dtype).size or 0, 1)
    except TypeError as error:
        raise UndecodableError(str(error)) from error
    if size > LARGEST_BYTES:
        raise UndecodableError("too large")
    if size > LARGE:
        Guard().check(size)
    try:
        return _read(proto, content, count).reshape(shape)
    except (ValueError, tf.errors.OpError) as error:
        raise UndecodableError(str(error)) from error


def _shape(proto: Any) -> tuple[int, ...]:
    if proto.tensor_shape.unknown_rank:
        return ()
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise UndecodableError("negative dimension")
    return shape


def _read(proto: Any, content: memoryview | None, count: int) -> np.ndarray:
    field = _FIELDS.get(proto.dtype)
    half = _HALVES.get(proto.dtype)
    if field or half:
        found = content or proto.tensor_content
        if found:
            return np.frombuffer(found, field.dtype if field else half)
    elif content is not None:
        whole = tensor_pb2.TensorProto(tensor_content=bytes(content))
        whole.MergeFrom(proto)
        proto = whole
    if field:
        numbers: np.ndarray = np.array(getattr(proto, field.name)[:count], field.wire)
        # astype wraps 300 to 44 in uint8, as TensorFlow's C++ does; NumPy alone would raise.
        return _fill(numbers, count).astype(field.dtype, copy=False)
    if half:
        return _fill(np.array(proto.half_val[:count], np.int32).astype(np.uint16), count).view(half)
    if proto.dtype == types_pb2.DT_STRING and not proto.tensor_content:
        return _strings(proto.string_val[:count], count)
    return np.asarray(_read_rare(proto))


def _fill(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) == count:
        return values
    filled = np.full(count, values[-1] if len(values) else 0, values.dtype)
    filled[: len(values)] = values
    return filled


def _strings(values: list[bytes], count: int) -> np.ndarray:
    array = np.empty(count, object)
    # Each element by itself: NumPy's broadcast of bytes would drop their trailing zero bytes.
    array[:] = values + (values[-1:] or [b""]) * (count - len(values))
    return array


def _read_rare(proto: Any) -> Any:
    with tf.device("CPU"):
        tensor = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype))
    value = tensor.numpy()
    if isinstance(value, bytes):
        # NumPy's own bytes type would drop trailing zero bytes.
        return np.array(value, object)
    return value


def encode(value: Any, as_content: bool = False) -> Any:
    """A TensorProto with the full typed list, TensorFlow Serving's form.

    Args:
        value: What a session returned: an array or scalar of any dtype, strings as bytes.
        as_content: Fill tensor_content instead, for everything but strings.
    """
    array = np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
    dtype = as_dtype(array.dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    proto.tensor_shape.SetInParent()  # A scalar's shape is empty, but there.
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if dtype == tf.string:
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif proto.dtype in _PACKED:
        _merge_packed(proto, _PACKED[proto.dtype], array)
    elif proto.dtype in _FIELDS:
        getattr(proto, _FIELDS[proto.dtype].name).extend(array.ravel().tolist())
    elif proto.dtype in _HALVES:
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    else:
        proto.CopyFrom(tf.make_tensor_proto(array))
    return proto


_PACKED = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
}
"""Lists whose wire form is the array's memory (little-endian on all that TensorFlow runs on)."""


def _merge_packed(proto: Any, name: str, array: np.ndarray) -> None:
    """Append values by their wire form: ten times as fast as `extend` with Python floats."""
    data = array.tobytes()
    number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[name].number
    proto.MergeFromString(framed(number, data))
