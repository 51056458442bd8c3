"""The wire against TensorFlow's own messages and its own reading of them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import TensorError
from contract.wire import serving_pb2 as pb
from contract.wire.stubs import CHANNEL_OPTIONS, model_server_stubs
from contract.wire.tensors import to_array, to_tensor

ROOT = Path(__file__).resolve().parents[2]

# dtype → NumPy's type, the list that carries it, values that need all its bits.
DTYPES: dict[str, tuple[Any, str, list[Any]]] = {
    "DT_FLOAT": (np.float32, "float_val", [1.5, -2e30, np.inf]),
    "DT_DOUBLE": (np.float64, "double_val", [1.5, -2e300, 1 / 3]),
    "DT_HALF": (np.float16, "half_val", [1.5, -2.0, 65504]),
    "DT_INT8": (np.int8, "int_val", [1, -128, 127]),
    "DT_INT16": (np.int16, "int_val", [1, -(2**15), 2**15 - 1]),
    "DT_INT32": (np.int32, "int_val", [1, -(2**31), 2**31 - 1]),
    "DT_INT64": (np.int64, "int64_val", [1, -(2**63), 2**63 - 1]),
    "DT_UINT8": (np.uint8, "int_val", [1, 0, 255]),
    "DT_UINT16": (np.uint16, "int_val", [1, 0, 2**16 - 1]),
    "DT_UINT32": (np.uint32, "uint32_val", [1, 0, 2**32 - 1]),
    "DT_UINT64": (np.uint64, "uint64_val", [1, 0, 2**64 - 1]),
    "DT_BOOL": (np.bool_, "bool_val", [True, False, True]),
    "DT_STRING": (np.object_, "string_val", [b"a", b"\0b\0\0", "é".encode()]),
}
SHAPES = [(), (1,), (3,), (2, 3), (0,), (2, 0, 3), (1, 2, 1, 3)]


def theirs(message: pb.TensorProto) -> Any:
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    return TensorProto.FromString(message.SerializeToString())


def their_array(message: pb.TensorProto) -> np.ndarray:
    """What TensorFlow's runtime makes of it."""
    import tensorflow as tf

    value = tf.io.parse_tensor(message.SerializeToString(), tf.dtypes.as_dtype(message.dtype))
    value = value.numpy()
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    kind, _, values = DTYPES[name]
    count = int(np.prod(shape))
    return np.array((values * count)[:count], kind).reshape(shape)


def listed(name: str, shape: tuple[int, ...], given: int) -> pb.TensorProto:
    _, field, values = DTYPES[name]
    message = pb.TensorProto(dtype=pb.DataType.Value(name))
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    values = (values * given)[:given]
    if name == "DT_HALF":
        values = np.array(values, np.float16).view(np.uint16).tolist()
    getattr(message, field).extend(values)
    return message


def same(ours: np.ndarray, reference: np.ndarray) -> None:
    assert ours.dtype == reference.dtype
    assert ours.shape == reference.shape
    assert ours.tolist() == reference.tolist()


# Messages.


def their_messages() -> dict[str, Descriptor]:
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
    from tensorflow.core.protobuf import meta_graph_pb2
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_pb2,
        predict_pb2,
    )
    from tensorflow_serving.config import model_server_config_pb2

    modules = [
        *(tensor_pb2, tensor_shape_pb2, meta_graph_pb2, model_pb2, predict_pb2),
        *(get_model_metadata_pb2, get_model_status_pb2, model_server_config_pb2),
    ]
    found = {}
    for module in modules:
        found |= dict(module.DESCRIPTOR.message_types_by_name)
    status = found["ModelVersionStatus"].fields_by_name["status"].message_type
    policy = found["ModelConfig"].fields_by_name["model_version_policy"].message_type
    return found | {message.name: message for message in (status, policy.containing_type)}


#: What differs on purpose and is the same on the wire: an enum that we read as its number, and a
#: member of a oneof whose other members we don't read. DataType's values are compared all the same.
ALIKE = {"StatusProto.error_code", "TensorInfo.name"}


def compare(ours: Descriptor, reference: Descriptor) -> None:
    for field in ours.fields:
        other, name = reference.fields_by_name[field.name], f"{ours.name}.{field.name}"
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated), name
        if name not in ALIKE:
            assert kind_of(field) == kind_of(other), name
        if field.enum_type:
            numbers = {value.name: value.number for value in field.enum_type.values}
            known = {value.name: value.number for value in other.enum_type.values}
            assert numbers.items() <= known.items()
    for nested in ours.nested_types:
        compare(nested, reference.nested_types_by_name[nested.name])


def kind_of(field: FieldDescriptor) -> tuple[object, ...]:
    messages = field.message_type.name if field.message_type else None
    enum = field.enum_type.name if field.enum_type else None
    choice = field.containing_oneof.name if field.containing_oneof else None
    return (field.type, messages, enum, choice)


@pytest.mark.parametrize("name", sorted(pb.DESCRIPTOR.message_types_by_name))
def test_fields_are_tensorflow_servings(name: str) -> None:
    compare(pb.DESCRIPTOR.message_types_by_name[name], their_messages()[name])


def test_package_is_our_own() -> None:
    assert pb.DESCRIPTOR.package == "lince.wire"


def test_methods_are_tensorflow_servings() -> None:
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    called: list[str] = []

    class Channel:
        def unary_unary(self, method: str, **_: Any) -> None:
            called.append(method)

    model_server_stubs(Channel())  # type: ignore[arg-type]
    known = {
        f"/{service.full_name}/{method.name}": method
        for module in (prediction_service_pb2, model_service_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert len(called) == 3
    for method in called:
        assert hasattr(pb, known[method].input_type.name)
        assert hasattr(pb, known[method].output_type.name)


def test_channel_takes_large_messages() -> None:
    grpc.insecure_channel("localhost:1", options=CHANNEL_OPTIONS).close()
    assert {value for _, value in CHANNEL_OPTIONS} == {-1}
    assert len(CHANNEL_OPTIONS) == 2


@pytest.mark.parametrize("choice", [{"version": 7}, {"version_label": "stable"}, {}])
def test_predict_request_both_ways(choice: dict[str, Any]) -> None:
    from tensorflow_serving.apis import predict_pb2

    request = pb.PredictRequest(output_filter=["probabilities"])
    request.model_spec.name = "cats"
    request.model_spec.signature_name = "serving_default"
    if "version" in choice:
        request.model_spec.version.value = choice["version"]
    elif choice:
        request.model_spec.version_label = choice["version_label"]
    request.inputs["images"].CopyFrom(to_tensor(np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)))
    other = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert other.model_spec.WhichOneof("version_choice") == (next(iter(choice)) if choice else None)
    assert other.model_spec.version.value == choice.get("version", 0)
    assert other.model_spec.version_label == choice.get("version_label", "")
    assert other.output_filter == ["probabilities"]
    assert other.inputs["images"].tensor_content == bytes(range(12))
    assert pb.PredictRequest.FromString(other.SerializeToString()) == request


def test_predict_response() -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    other = predict_pb2.PredictResponse()
    other.model_spec.name = "cats"
    other.model_spec.version.value = 3
    other.outputs["probabilities"].CopyFrom(tf.make_tensor_proto([[0.25, 0.75]], tf.float32))
    ours = pb.PredictResponse.FromString(other.SerializeToString())
    assert (ours.model_spec.name, ours.model_spec.version.value) == ("cats", 3)
    same(to_array(ours.outputs["probabilities"]), np.array([[0.25, 0.75]], np.float32))


def test_metadata_and_status() -> None:
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["serving_default"].inputs["images"].tensor_shape.dim.add(size=-1)
    metadata = get_model_metadata_pb2.GetModelMetadataResponse()
    metadata.metadata["signature_def"].Pack(signatures)
    ours = pb.GetModelMetadataResponse.FromString(metadata.SerializeToString())
    read = pb.SignatureDefMap.FromString(ours.metadata["signature_def"].value)
    assert read.signature_def["serving_default"].inputs["images"].tensor_shape.dim[0].size == -1

    status = get_model_status_pb2.GetModelStatusResponse()
    status.model_version_status.add(version=2, state=get_model_status_pb2.ModelVersionStatus.END)
    status.model_version_status[0].status.error_message = "gone"
    read_status = pb.GetModelStatusResponse.FromString(status.SerializeToString())
    assert read_status.model_version_status[0].state == pb.ModelVersionStatus.END
    assert read_status.model_version_status[0].status.error_message == "gone"


def require_protoc() -> None:
    if not (Path(os.environ.get("LINCE_VENV", ROOT / ".venv")) / "protoc").is_dir():
        missing = "the protoc folder of .venv is missing (scripts/setup dev installs it)"
        if os.environ.get("LINCE_TEST_REQUIRE") == "all":
            pytest.fail(missing)
        pytest.skip(missing)


def test_generated_modules_are_fresh() -> None:
    require_protoc()
    done = subprocess.run([ROOT / "scripts/protos", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Tensors.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DTYPES)
def test_ours_to_theirs_and_back(name: str, shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    array = filled(name, shape)
    message = to_tensor(array)
    assert message.dtype == pb.DataType.Value(name)
    same(their_array(message), array)
    same(to_array(message), array)
    if array.size:  # make_ndarray reads empty content as an empty list of one
        assert tf.make_ndarray(theirs(message)).tolist() == array.tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DTYPES)
def test_theirs_to_ours(name: str, shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    array = filled(name, shape)
    proto = tf.make_tensor_proto(array, tf.dtypes.as_dtype(pb.DataType.Value(name)), shape=shape)
    same(to_array(pb.TensorProto.FromString(proto.SerializeToString())), array)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("name", DTYPES)
def test_lists_short_and_long_are_read_as_in_c(name: str, count: int) -> None:
    for shape in SHAPES:
        message = listed(name, shape, count)
        same(to_array(message), their_array(message))


def test_short_list_repeats_its_last_value_and_an_empty_one_is_zeros() -> None:
    assert to_array(listed("DT_FLOAT", (2, 2), 2)).tolist() == [[1.5, np.float32(-2e30)]] + [
        [np.float32(-2e30)] * 2
    ]
    assert to_array(listed("DT_INT8", (2,), 0)).tolist() == [0, 0]
    assert to_array(listed("DT_BOOL", (2,), 0)).tolist() == [False, False]
    assert to_array(listed("DT_STRING", (2,), 0)).tolist() == [b"", b""]
    assert to_array(listed("DT_STRING", (4,), 2)).tolist() == [b"a", *[b"\0b\0\0"] * 3]


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        ("DT_UINT8", "int_val", [300, -2]),
        ("DT_INT8", "int_val", [200, -200]),
        ("DT_INT16", "int_val", [70_000, -70_000]),
        ("DT_UINT16", "int_val", [70_000, -1]),
        ("DT_HALF", "half_val", [15360 + 2**16, 16384 - 2**16]),
    ],
)
@pytest.mark.parametrize("shape", [(2,), (3,), (1,)])
def test_too_many_bits_are_cut_as_in_c(
    name: str, field: str, values: list[int], shape: tuple[int, ...]
) -> None:
    message = listed(name, shape, 0)
    getattr(message, field).extend(values)
    same(to_array(message), their_array(message))


def test_content_wins_over_a_list() -> None:
    message = to_tensor(np.array([1.0, 2.0], np.float32))
    message.float_val.extend([7.0, 8.0])
    assert to_array(message).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kind", [">f4", ">i8", ">u2", ">f2", "<f8"])
def test_any_byte_order_goes_out_little_endian(kind: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind)
    message = to_tensor(array)
    assert message.tensor_content == array.astype("<" + kind[1:]).tobytes()
    same(their_array(message), array.astype(array.dtype.newbyteorder("=")))


def test_any_memory_order() -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for view in (array.T, array[:, ::-1], array[..., ::2], np.asfortranarray(array)):
        same(to_array(to_tensor(view)), np.ascontiguousarray(view))


def test_c_types_that_are_one_type() -> None:
    for kind in (np.longlong, np.intc, np.ulonglong, np.int_, np.uint):
        same(to_array(to_tensor(np.ones(2, kind))), np.ones(2, kind))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_round_trip_of_anything(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(DTYPES)))
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=5)))
    count = int(np.prod(shape))
    if name == "DT_STRING":
        strings = data.draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count))
        array = np.array([*strings, None], object)[:-1].reshape(shape)
    else:
        kind = np.dtype(DTYPES[name][0])
        size = count * kind.itemsize
        raw = data.draw(st.binary(min_size=size, max_size=size))
        if name == "DT_BOOL":
            raw = bytes(level & 1 for level in raw)
        array = np.frombuffer(raw, kind).reshape(shape)
    message = pb.TensorProto.FromString(to_tensor(array).SerializeToString())
    result = to_array(message)
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    if name == "DT_STRING":
        assert result.tolist() == array.tolist()
    else:
        assert result.tobytes() == array.tobytes()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.sampled_from(sorted(DTYPES)))
def test_any_message_is_an_array_or_a_tensor_error(raw: bytes, name: str) -> None:
    from google.protobuf.message import DecodeError

    try:
        message = pb.TensorProto.FromString(raw)
    except DecodeError:
        message = pb.TensorProto(tensor_content=raw)
        message.tensor_shape.dim.add(size=len(raw))
    message.dtype = pb.DataType.Value(name)
    if any(dim.size > 1000 for dim in message.tensor_shape.dim):
        return
    try:
        result = to_array(message)
    except TensorError:
        return
    assert result.shape == tuple(dim.size for dim in message.tensor_shape.dim)


# Errors.


def broken(**fields: Any) -> pb.TensorProto:
    shape = fields.pop("shape", (2,))
    message = pb.TensorProto(dtype=fields.pop("dtype", pb.DT_FLOAT), **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


BROKEN = {
    "no dtype": (broken(dtype=0), "unknown tensor dtype 0"),
    "bfloat16": (broken(dtype=14), "unknown tensor dtype 14"),
    "dtype of the future": (broken(dtype=999), "unknown tensor dtype 999"),
    "unknown size": (broken(shape=(2, -1)), "not fully known"),
    "unknown rank": (broken(tensor_shape=pb.TensorShapeProto(unknown_rank=True)), "not fully"),
    "content too short": (broken(tensor_content=b"1234567"), "7 bytes of content, expected 8"),
    "content too long": (broken(tensor_content=b"123456789"), "9 bytes of content, expected 8"),
    "content of a scalar": (broken(shape=(), tensor_content=b"1"), "1 bytes .* expected 4"),
    "string content": (broken(dtype=pb.DT_STRING, tensor_content=b"\1\1ab"), "string_val"),
    "more than memory": (broken(shape=(2**50,)), "no array"),
    "more than an address": (broken(shape=(2**62, 2**62)), "no array"),
    "strings beyond memory": (broken(dtype=pb.DT_STRING, shape=(2**62,)), "no array"),
    "too many dimensions": (broken(shape=(1,) * 70), "no array"),
    "too many, with content": (broken(shape=(1,) * 70, tensor_content=b"1234"), "no array"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_tensor(case: str) -> None:
    message, text = BROKEN[case]
    with pytest.raises(TensorError, match=text):
        to_array(message)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, np.complex64),
        np.array(["text"]),
        np.array([b"bytes of fixed length"]),
        np.array(["text"], object),
        np.array([b"a", None], object),
        np.array([1.5], object),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", np.int32)]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_array_without_a_tensor_type(array: np.ndarray) -> None:
    with pytest.raises(TensorError):
        to_tensor(array)
