"""Calls as such: large messages, long error texts, deadlines, health, what is not offered."""

import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conformance.api import Api, predict_request
from tests.conformance.cases import INVALID, NOT_FOUND, PRECONDITION, UNIMPLEMENTED, agree, floats

pytestmark = pytest.mark.integration

X = floats([[1, 2, 3, 4]])


@pytest.mark.parametrize("megabytes", [5, 100])
def test_large_messages(api: Api, megabytes: int) -> None:
    """Both ways; a gRPC server takes 4 MB by default."""
    x = np.ones((megabytes * 2**20 // 16, 4), np.float32)
    request = predict_request("numbers", x=x, output_filter=["y"])
    assert request.ByteSize() > megabytes * 2**20
    answer = api.ask(request)
    agree(answer, "OK", "")
    assert len(answer.message.outputs["y"].float_val) == x.size


def test_long_error_texts_are_cut(api: Api) -> None:
    """After 1,024 characters, with a mark; one of that length isn't."""
    start, end = 'Serving signature key "', '" not found.'
    answer = api.ask(predict_request("numbers", x=X, spec={"signature": "s" * 3000}))
    agree(answer, PRECONDITION, start + "s" * (1024 - len(start)) + "...TRUNCATED")
    fits = "s" * (1024 - len(start) - len(end))
    answer = api.ask(predict_request("numbers", x=X, spec={"signature": fits}))
    agree(answer, PRECONDITION, start + fits + end)


def test_deadline_ends_a_run(api: Api) -> None:
    """And the run's threads are free again."""
    endless = predict_request("numbers", path=b"/nonexistent/go", spec={"signature": "wait"})
    calls = [api.start(endless, timeout=0.5) for _ in range(4)]
    for call in calls:
        assert call.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    agree(api.ask(predict_request("numbers", x=X)), "OK", "")


def test_a_corrupt_message_fails_its_own_call(api: Api) -> None:
    call = api.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff\xff", timeout=60)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    agree(api.ask(predict_request("numbers", x=X)), "OK", "")


@pytest.mark.parametrize(
    "method",
    [
        "tensorflow.serving.PredictionService/Guess",
        "tensorflow.serving.SessionService/SessionRun",
        "nobody.Service/Method",
    ],
)
def test_unknown_methods(api: Api, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        api.channel.unary_unary(f"/{method}")(b"", timeout=60)
    assert caught.value.code().name == UNIMPLEMENTED


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_no_reflection(api: Api, version: str) -> None:
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    with pytest.raises(grpc.RpcError) as caught:
        next(api.channel.stream_stream(method)(iter([b""]), timeout=60))
    assert caught.value.code().name == UNIMPLEMENTED


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health(api: Api, service: str) -> None:
    check = health_pb2_grpc.HealthStub(api.channel).Check
    answer = check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(api: Api) -> None:
    check = health_pb2_grpc.HealthStub(api.channel).Check
    with pytest.raises(grpc.RpcError) as caught:
        check(health_pb2.HealthCheckRequest(service="nobody"), timeout=60)
    assert caught.value.code().name == NOT_FOUND


def test_health_is_watched(api: Api) -> None:
    watch = health_pb2_grpc.HealthStub(api.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_calls_at_the_same_time_keep_their_rows(api: Api) -> None:
    wrong: list[float] = []

    def call(number: float) -> None:
        for _ in range(20):
            answer = api.ask(predict_request("numbers", x=number * X))
            if list(answer.message.outputs["y"].float_val) != list(2 * number * X[0]):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_metadata_too_large(api: Api) -> None:
    """gRPC's own limit, which --grpc_channel_arguments can move: see test_flags."""
    request = predict_request("numbers", x=X)
    answer = api.ask(request, metadata=[("extra", "x" * 100_000)])
    assert answer.code == "RESOURCE_EXHAUSTED"


def test_names_with_any_letters(api: Api) -> None:
    answer = api.ask(predict_request("é\n", x=X))
    agree(answer, NOT_FOUND, "Servable not found for request: Latest(é\n)")
    answer = api.ask(predict_request("versions", x=X, spec={"label": "é"}))
    agree(answer, INVALID, "Unrecognized servable version label: é")
