"""Decoding and encoding against TensorFlow's own C++ parser and its own protos."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from server.model_server.tensors import UndecodableError, decode, encode

FIELDS = {
    types_pb2.DT_FLOAT: ("float_val", [1.5, -2.0, 3.25]),
    types_pb2.DT_DOUBLE: ("double_val", [1.5, -2.0, 3.25]),
    types_pb2.DT_INT8: ("int_val", [1, -2, 300]),
    types_pb2.DT_INT16: ("int_val", [1, -2, 70_000]),
    types_pb2.DT_INT32: ("int_val", [1, -2, 2**31 - 1]),
    types_pb2.DT_UINT8: ("int_val", [1, -2, 300]),
    types_pb2.DT_UINT16: ("int_val", [1, -2, 70_000]),
    types_pb2.DT_INT64: ("int64_val", [1, -2, 2**62]),
    types_pb2.DT_UINT32: ("uint32_val", [1, 2, 2**32 - 1]),
    types_pb2.DT_UINT64: ("uint64_val", [1, 2, 2**64 - 1]),
    types_pb2.DT_BOOL: ("bool_val", [True, False, True]),
    types_pb2.DT_HALF: ("half_val", [15360, 16384, 1]),
    types_pb2.DT_BFLOAT16: ("half_val", [16256, 16384, 1]),
    types_pb2.DT_STRING: ("string_val", [b"a", b"b\0", b""]),
    types_pb2.DT_COMPLEX64: ("scomplex_val", [1.0, 2.0, 3.0, 4.0]),
    types_pb2.DT_COMPLEX128: ("dcomplex_val", [1.0, 2.0, 3.0, 4.0]),
}


def reference(proto: tensor_pb2.TensorProto) -> np.ndarray:
    dtype = tf.dtypes.as_dtype(proto.dtype)
    value = tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


@pytest.mark.parametrize("shape", [(), (2,), (3,), (2, 3), (0,), (1, 0, 2)])
@pytest.mark.parametrize("given", [0, 1, 2, 4])
@pytest.mark.parametrize("dtype", FIELDS, ids=types_pb2.DataType.Name)
def test_typed_lists_decode_as_in_c(dtype: int, given: int, shape: tuple[int, ...]) -> None:
    field, values = FIELDS[dtype]
    proto = tensor_pb2.TensorProto(dtype=dtype, tensor_shape=tf.TensorShape(shape).as_proto())
    getattr(proto, field).extend(values[:given])
    ours, theirs = decode(proto), reference(proto)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", FIELDS, ids=types_pb2.DataType.Name)
def test_content_decodes_and_encodes(dtype: int, shape: tuple[int, ...]) -> None:
    kind = tf.dtypes.as_dtype(dtype)
    if kind == tf.string:
        array = np.full(shape, b"a\0", object)
    else:
        array = np.arange(np.prod(shape)).reshape(shape).astype(kind.as_numpy_dtype)
        proto = encode(array, as_content=True)
        np.testing.assert_array_equal(decode(proto), array)
    proto = encode(array)
    assert not proto.tensor_content
    assert proto.dtype == dtype
    np.testing.assert_array_equal(reference(proto), array)


def test_content_beats_values_and_other_fields_are_ignored() -> None:
    shape = tf.TensorShape([1]).as_proto()
    proto = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_INT32, tensor_shape=shape, tensor_content=b"\1\0\0\0", int_val=[9]
    )
    assert decode(proto).tolist() == [1]
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, tensor_shape=shape, float_val=[9])
    assert decode(proto).tolist() == [0]


@pytest.mark.parametrize(
    "proto",
    [
        tensor_pb2.TensorProto(),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT_REF),
        tensor_pb2.TensorProto(dtype=999),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_VARIANT),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_content=b"abc"),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"12345"),
        tensor_pb2.TensorProto(
            dtype=types_pb2.DT_UINT8, tensor_shape=tf.TensorShape([2**31]).as_proto()
        ),
    ],
)
def test_undecodable(proto: tensor_pb2.TensorProto) -> None:
    with pytest.raises(UndecodableError):
        decode(proto)
