"""NumPy arrays ↔ TensorProto, without TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import TensorError
from contract.wire.serving_pb2 import DataType, TensorProto

# dtype → the NumPy type and the field that carries its values one by one; an int32 of a list is cut
# to the bits of a narrower type, as C does.
_TYPES: dict[DataType, tuple[np.dtype[Any], str]] = {
    DataType.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    DataType.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    DataType.DT_INT32: (np.dtype(np.int32), "int_val"),
    DataType.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    DataType.DT_INT16: (np.dtype(np.int16), "int_val"),
    DataType.DT_INT8: (np.dtype(np.int8), "int_val"),
    DataType.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    DataType.DT_INT64: (np.dtype(np.int64), "int64_val"),
    DataType.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    DataType.DT_HALF: (np.dtype(np.float16), "half_val"),
    DataType.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    DataType.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
}
_DTYPES: dict[np.dtype[Any], DataType] = {
    numpy_type: dtype for dtype, (numpy_type, _) in _TYPES.items()
}


def to_tensor(array: NDArray[Any]) -> TensorProto:
    """Packs an array of numbers as little-endian `tensor_content`, or of bytes objects as strings.

    Args:
        array: any shape; numbers, booleans, or dtype object holding bytes.

    Raises:
        TensorError: the dtype has no counterpart here.
    """
    tensor = TensorProto()
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == np.object_:
        tensor.dtype = DataType.DT_STRING
        try:
            tensor.string_val.extend(array.ravel().tolist())
        except TypeError as error:
            raise TensorError("an array of dtype object may hold bytes alone") from error
        return tensor
    if array.dtype.newbyteorder("=") not in _DTYPES:
        raise TensorError(f"no tensor type for dtype {array.dtype}")
    tensor.dtype = _DTYPES[array.dtype.newbyteorder("=")]
    tensor.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return tensor


def to_array(tensor: TensorProto) -> NDArray[Any]:
    """Unpacks a tensor, whether its values are in `tensor_content` or in a typed list.

    As TensorFlow reads it: content wins over lists; a list that is too short repeats its last
    value, an empty one gives zeros.

    Returns:
        an array that must not be written to; strings are bytes objects in dtype object.

    Raises:
        TensorError: unknown dtype or rank, a negative dimension, or content of the wrong length.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise TensorError("the tensor's shape is not fully known")
    unpack = _strings if tensor.dtype == DataType.DT_STRING else _numbers
    try:
        return unpack(tensor, shape)
    except TensorError:
        raise
    except (ValueError, OverflowError, MemoryError) as error:
        raise TensorError(f"no array can have the shape {shape}") from error


def _strings(tensor: TensorProto, shape: tuple[int, ...]) -> NDArray[np.object_]:
    if tensor.tensor_content:
        raise TensorError("strings are in string_val, not in tensor_content")
    count = math.prod(shape)
    values = tensor.string_val[:count]
    # Repeated in Python: NumPy would drop a string's trailing zero bytes.
    values += (values[-1:] or [b""]) * (count - len(values))
    return np.array(values, np.object_).reshape(shape)


def _numbers(tensor: TensorProto, shape: tuple[int, ...]) -> NDArray[Any]:
    if tensor.dtype not in _TYPES:
        raise TensorError(f"unknown tensor dtype {tensor.dtype}")
    dtype, field = _TYPES[tensor.dtype]
    count = math.prod(shape)
    if tensor.tensor_content:
        expected = count * dtype.itemsize
        if len(tensor.tensor_content) != expected:
            raise TensorError(f"{len(tensor.tensor_content)} bytes of content, expected {expected}")
        return np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<")).reshape(shape)
    listed = getattr(tensor, field)
    if field == "half_val":
        values = np.array(listed, np.int32).astype(np.uint16).view(np.float16)
    else:
        values = np.array(listed, np.int32 if field == "int_val" else dtype).astype(dtype)
    if len(values) != count:
        given = values[:count]
        values = np.full(count, given[-1] if len(given) else 0, dtype)
        values[: len(given)] = given
    return values.reshape(shape)
