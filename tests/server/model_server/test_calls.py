"""Predict, GetModelMetadata, GetModelStatus and health over a real connection."""

import threading
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tests.server.model_server.helpers import PATIENCE, Api, ones, refusal, request_for

pytestmark = pytest.mark.heavy

INVALID, PRECONDITION, NOT_FOUND = "INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"


def shaped(dtype: int, *shape: int, **fields: Any) -> Any:
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


FLOAT, UINT8 = types_pb2.DT_FLOAT, types_pb2.DT_UINT8
NO_VERSION = "Servable not found for request: "
PIXELS = np.zeros((1, 8, 8, 3), np.uint8)

REFUSED = {
    "empty name": (request_for(model="", x=ones()), INVALID, "ModelSpec has no name specified."),
    "unknown label": (
        request_for(label="stable", x=ones()),
        INVALID,
        "Unrecognized servable version label: stable",
    ),
    "label of unknown model": (
        request_for(model="none", label="stable"),
        INVALID,
        "Unrecognized servable version label: stable",
    ),
    "unknown model": (request_for(model="none"), NOT_FOUND, NO_VERSION + "Latest(none)"),
    "unknown version": (request_for(version=9), NOT_FOUND, NO_VERSION + "Specific(m, 9)"),
    "version zero": (request_for(version=0), NOT_FOUND, NO_VERSION + "Specific(m, 0)"),
    "unknown signature": (
        request_for(signature="s", z=ones()),
        PRECONDITION,
        'Serving signature key "s" not found.',
    ),
    "too few inputs": (
        request_for(signature="pair", a=ones()),
        INVALID,
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
        "Sent extra: {}. Missing but required: {b}.",
    ),
    "too many inputs": (
        request_for(x=ones(), z=ones()),
        INVALID,
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "wrong name": (
        request_for(z=ones()),
        INVALID,
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no "
        "default value provided. Inputs expected to be in the request {z}, or default input "
        "alias set: ",
    ),
    "unknown name beside a default": (
        request_for("defaults", "pair", a=ones(), z=ones()),
        INVALID,
        "Inputs contains invalid name. Used request inputs: a, request input: a,z",
    ),
    "missing beside a default": (
        request_for("defaults", "pair", b=ones()),
        INVALID,
        "Signature input alias: a(feed name: pair_a:0) not found in request and no default "
        "value provided. Inputs expected to be in the request {b}, or default input alias set: b",
    ),
    "no dtype": (request_for(x=shaped(0, 1, 4)), INVALID, "tensor parsing error: x"),
    "ref dtype": (request_for(x=shaped(101, 1, 4)), INVALID, "tensor parsing error: x"),
    "negative dimension": (request_for(x=shaped(FLOAT, -1, 4)), INVALID, "tensor parsing error: x"),
    "content too short": (
        request_for(x=shaped(FLOAT, 1, 4, tensor_content=b"123")),
        INVALID,
        "tensor parsing error: x",
    ),
    "content too long": (
        request_for(x=shaped(FLOAT, 1, 4, tensor_content=b"1" * 20)),
        INVALID,
        "tensor parsing error: x",
    ),
    "a tensor larger than memory": (
        request_for(x=shaped(FLOAT, 1 << 40, 4, float_val=[1])),
        INVALID,
        "tensor parsing error: x",
    ),
    "wrong dtype": (
        request_for(x=ones().astype(np.uint8)),
        INVALID,
        "Expects arg[0] to be float but uint8 is provided",
    ),
    "wrong dtype of the second": (
        request_for(signature="pair", a=ones(), b=ones().astype(np.float64)),
        INVALID,
        "Expects arg[1] to be float but double is provided",
    ),
    "strings for floats": (
        request_for(x=[[b"a", b"b"]]),
        INVALID,
        "Expects arg[0] to be float but string is provided",
    ),
    "unknown output": (
        request_for(x=ones(), output_filter=["q"]),
        INVALID,
        "output tensor alias not found in signature: q Outputs expected to be in the set {y}.",
    ),
    "repeated output": (
        request_for(x=ones(), output_filter=["y", "y"]),
        INVALID,
        "duplicate output tensor alias: y",
    ),
    "wrong rank for a convolution": (
        request_for("conv", images=PIXELS[0]),
        INVALID,
        "input images must have rank 4 as in its signature, not rank 3",
    ),
    "scalar for a convolution": (
        request_for("conv", images=np.uint8(3)),
        INVALID,
        "input images must have rank 4 as in its signature, not rank 0",
    ),
    "unknown rank for a convolution": (
        request_for(
            "conv",
            images=tensor_pb2.TensorProto(
                dtype=UINT8, tensor_shape=tf.TensorShape(None).as_proto()
            ),
        ),
        INVALID,
        "input images must have rank 4 as in its signature, not rank 0",
    ),
    "dtype before rank": (
        request_for("conv", images=ones()),
        INVALID,
        "Expects arg[0] to be uint8 but float is provided",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_predict_refuses(api: Api, case: str) -> None:
    request, code, text = REFUSED[case]
    assert refusal(lambda: api.prediction.Predict(request, timeout=PATIENCE)) == (code, text)


def test_predict_without_model_spec(api: Api) -> None:
    empty = predict_pb2.PredictRequest()
    assert refusal(lambda: api.prediction.Predict(empty)) == (INVALID, "Missing ModelSpec")


def test_predict_answers(api: Api) -> None:
    response = api.predict(x=ones(2))
    assert response.model_spec.name == "m"
    assert response.model_spec.signature_name == "serving_default"
    assert response.model_spec.version.value == 7
    assert not response.model_spec.version_label
    output = response.outputs["y"]
    assert list(output.float_val) == [2.0] * 8  # In full, though all are equal.
    assert output.dtype == FLOAT
    assert [d.size for d in output.tensor_shape.dim] == [2, 4]
    assert not output.tensor_content


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (shaped(FLOAT, 1, 4, float_val=[1, 2]), [[2, 4, 4, 4]]),
        (shaped(FLOAT, 1, 4), [[0, 0, 0, 0]]),
        (shaped(FLOAT, 1, 2, float_val=[1, 2, 3]), [[2, 4]]),
        (shaped(FLOAT, 1, 1, float_val=[9], tensor_content=b"\0\0\x80?"), [[2]]),
        (shaped(FLOAT, 0, 4), np.zeros((0, 4))),
        (shaped(FLOAT, 2, float_val=[1, 2]), [2, 4]),  # rank 1 where 2 is declared
        (tensor_pb2.TensorProto(
            dtype=FLOAT, float_val=[3], tensor_shape=tf.TensorShape(None).as_proto()), 6),
    ],
)  # fmt: skip
def test_predict_decodes_as_tensorflow_serving_does(api: Api, proto: Any, expected: Any) -> None:
    output = tf.make_ndarray(api.predict(x=proto).outputs["y"])
    np.testing.assert_array_equal(output, np.array(expected, np.float32))
    assert output.shape == np.shape(expected)


def test_predict_specific_version_and_filter(api: Api) -> None:
    response = api.predict(
        signature="pair", version=7, a=ones(), b=ones(), output_filter=["difference"]
    )
    assert set(response.outputs) == {"difference"}
    assert response.model_spec.signature_name == "pair"


def test_predict_fills_in_defaults(api: Api) -> None:
    response = api.predict("defaults", "pair", a=ones())
    assert list(response.outputs["sum"].float_val) == [11.0] * 4


def test_predict_strings(api: Api) -> None:
    texts = shaped(types_pb2.DT_STRING, 3, string_val=[b"ab\0", b"\xff"])
    response = api.predict(signature="echo", text=texts)
    assert list(response.outputs["text"].string_val) == [b"ab\0", b"\xff", b"\xff"]
    assert list(response.outputs["length"].int_val) == [3, 1, 1]


@pytest.mark.parametrize("size", [8, 9])
def test_predict_other_sizes_go_to_the_kernel(api: Api, size: int) -> None:
    response = api.predict("conv", images=np.zeros((2, size, size, 3), np.uint8))
    assert np.allclose(response.outputs["probabilities"].float_val, 0.5)


def test_kernel_errors_pass_through(api: Api) -> None:
    images = np.zeros((1, 8, 8, 2), np.uint8)
    code, text = refusal(lambda: api.predict("conv", images=images))
    assert code == INVALID
    assert "depth" in text or "channels" in text.lower()


def test_long_error_text_is_cut(api: Api) -> None:
    code, text = refusal(lambda: api.predict("m", "s" * 3000))
    assert code == PRECONDITION
    assert text == 'Serving signature key "' + "s" * (1024 - 23) + "...TRUNCATED"


def test_large_messages(api: Api) -> None:
    rows = 500_000  # 8 MB, twice what a gRPC server takes by default
    response = api.predict(x=ones(rows))
    assert len(response.outputs["y"].float_val) == rows * 4


def test_corrupt_message_fails_its_own_call_only(api: Api) -> None:
    raw = api.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, _ = refusal(lambda: raw(b"\xff\xff\xff", timeout=PATIENCE))
    assert code == "INTERNAL"
    assert api.predict(x=ones()).outputs


def test_deadline_ends_a_slow_run(api: Api) -> None:
    request = request_for(signature="wait", path=b"/nonexistent/go")
    code, _ = refusal(lambda: api.prediction.Predict(request, timeout=0.5))
    assert code == "DEADLINE_EXCEEDED"
    # The run itself must have ended too, or its threads would be missing here.
    assert api.predict(x=ones()).outputs


def test_calls_at_the_same_time_keep_their_rows(api: Api) -> None:
    wrong = []

    def call(number: int) -> None:
        for _ in range(20):
            x = np.full((1, 4), number, np.float32)
            if list(api.predict(x=x).outputs["y"].float_val) != [2.0 * number] * 4:
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def metadata_request(*fields: str, model: str = "m") -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model
    return request


def test_metadata(api: Api) -> None:
    response = api.prediction.GetModelMetadata(metadata_request("signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 7)
    assert response.model_spec.signature_name == ""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "pair", "wait", "echo"} <= set(signatures.signature_def)
    x = signatures.signature_def["serving_default"].inputs["x"]
    assert (x.dtype, [d.size for d in x.tensor_shape.dim]) == (FLOAT, [-1, 4])


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            metadata_request(model="none"),
            INVALID,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (
            metadata_request("signature_def", "graph", model="none"),
            INVALID,
            "Metadata field graph is not supported",
        ),
        (metadata_request("signature_def", model="none"), NOT_FOUND, NO_VERSION + "Latest(none)"),
        (
            get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]),
            INVALID,
            "Missing ModelSpec",
        ),
    ],
)
def test_metadata_refuses(api: Api, request_: Any, code: str, text: str) -> None:
    assert refusal(lambda: api.prediction.GetModelMetadata(request_)) == (code, text)


def status_request(model: str, version: int | None = None) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    return request


@pytest.mark.parametrize("version", [None, 7])
def test_status(api: Api, version: int | None) -> None:
    (entry,) = api.model.GetModelStatus(status_request("m", version)).model_version_status
    assert (entry.version, entry.state) == (7, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert (entry.status.error_code, entry.status.error_message) == (0, "")


def test_status_ignores_a_label(api: Api) -> None:
    request = status_request("m")
    request.model_spec.version_label = "nonsense"
    assert len(api.model.GetModelStatus(request).model_version_status) == 1


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), INVALID, "Missing ModelSpec"),
        (status_request("m", 9), NOT_FOUND, "Could not find version 9 of model m"),
        (status_request("none"), NOT_FOUND, "Could not find any versions of model none"),
    ],
)
def test_status_refuses(api: Api, request_: Any, code: str, text: str) -> None:
    assert refusal(lambda: api.model.GetModelStatus(request_)) == (code, text)


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health(api: Api, service: str) -> None:
    check = health_pb2_grpc.HealthStub(api.channel).Check
    answer = check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_another_service(api: Api) -> None:
    check = health_pb2_grpc.HealthStub(api.channel).Check
    code, _ = refusal(lambda: check(health_pb2.HealthCheckRequest(service="other")))
    assert code == grpc.StatusCode.NOT_FOUND.name
