"""A PredictRequest read without copying means what protobuf says it means."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from server.model_server.predict_call import parse
from server.model_server.tensors import decode
from server.model_server.wire_format import framed, varint
from tests.server.model_server.helpers import request_for

LARGE = np.arange(10_000, dtype=np.float32).reshape(100, 100)


def whole(message: bytes) -> Any:
    """What `parse` gives, with the contents put back."""
    call = parse(message)
    for alias, content in call.contents.items():
        assert not call.request.inputs[alias].tensor_content
        call.request.inputs[alias].tensor_content = bytes(content)
    return call.request


REQUEST = request_for("m", "s", 3, "", ("y",), x=LARGE, small=np.zeros(3), text=np.array([b"a"]))


def test_large_content_is_cut_out() -> None:
    message = REQUEST.SerializeToString()
    call = parse(message)
    assert set(call.contents) == {"x"}
    np.testing.assert_array_equal(decode(call.request.inputs["x"], call.contents["x"]), LARGE)
    assert whole(message) == REQUEST


def tensor(**fields: Any) -> bytes:
    proto = tf.make_tensor_proto(LARGE)
    for name, value in fields.items():
        setattr(proto, name, value)
    return bytes(proto.SerializeToString())


def entry(*fields: bytes) -> bytes:
    return framed(2, b"".join(fields))


CONTENT = framed(4, b"\1" * 40_000)


@pytest.mark.parametrize(
    "message",
    [
        entry(framed(1, b"x"), framed(2, tensor())),
        entry(framed(2, tensor()), framed(1, b"x")),  # in the other order
        entry(framed(2, tensor())),  # without a key
        entry(framed(1, b"x"), framed(2, tensor()), framed(2, CONTENT)),  # merged
        entry(framed(1, b"x"), framed(2, tensor() + CONTENT)),  # the last content counts
        entry(framed(1, b"x"), framed(2, tensor())) + entry(framed(1, b"x"), framed(2, b"\x08\1")),
        entry(framed(1, b"x"), framed(2, tensor()), framed(9, b"unknown")),
        entry(framed(1, b"x"), framed(2, tensor() + framed(99 % 16, b"unknown"))),
        entry(framed(1, b"x"), framed(2, tensor(dtype=7))),
        entry(framed(1, "ä".encode()), framed(2, tensor())),
        framed(1, framed(1, b"m")) + framed(1, framed(1, b"n")) + entry(framed(2, tensor())),
        entry(framed(1, b"x"), framed(2, tensor() + varint(50 << 3) + varint(2**40))),
    ],
)
def test_odd_forms_mean_the_same(message: bytes) -> None:
    assert len(message) > 16_384
    assert whole(message) == predict_pb2.PredictRequest.FromString(message)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    # Maps have no order of their own, and a failure must be there again when it is looked at.
    message = bytearray(REQUEST.SerializeToString(deterministic=True))
    for _ in range(data.draw(st.integers(1, 3))):
        # Where the structure is: the content is most of it, and means nothing.
        where = data.draw(st.one_of(st.integers(0, 120), st.integers(-200, -1)))
        message[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(message)), st.integers(17_000, len(message))))
    damaged = bytes(message[:cut])
    try:
        expected = predict_pb2.PredictRequest.FromString(damaged)
    except DecodeError:
        with pytest.raises(DecodeError):
            parse(damaged)
        return
    assert whole(damaged) == expected


@given(st.binary(max_size=100))
@example(b"\x12" + b"\xff" * 100)
def test_garbage(garbage: bytes) -> None:
    message = framed(15, b"\1" * 17_000) + garbage
    try:
        expected = predict_pb2.PredictRequest.FromString(message)
    except DecodeError:
        with pytest.raises(DecodeError):
            parse(message)
        return
    assert whole(message) == expected


@pytest.mark.parametrize("dtype", [tf.complex64, tf.string, tf.float16, tf.uint8, tf.bool])
def test_content_of_any_dtype(dtype: Any) -> None:
    size = dtype.size or 1
    shape = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_content=b"\1" * 40_000)
    shape.tensor_shape.dim.add(size=40_000 // size)
    content = memoryview(shape.tensor_content)
    shape.tensor_content = b""
    if dtype == tf.string:  # TensorFlow's parser: lengths, then the texts.
        return
    assert decode(shape, content).nbytes == 40_000
