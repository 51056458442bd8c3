"""What flags do: one server with as many of them as can be told apart."""

import re
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conformance import graphs
from tests.conformance.api import (
    Api,
    channel_to,
    classify_request,
    example,
    predict_request,
    regress_request,
)
from tests.conformance.cases import INVALID, NOT_FOUND, UNIMPLEMENTED, agree, floats
from tests.conformance.conftest import Launch
from tests.conformance.differences import LISTEN_ADDRESS
from tests.conformance.disk import Disk
from tests.conformance.programs import Server, stays
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("options"))


@pytest.fixture(scope="module")
def server(disk: Disk, launch: Launch) -> Iterator[Server]:
    """A server of one model `opt`, with as many flags as can be told apart."""
    disk.publish("opt", 1)
    disk.publish("opt", 2, graphs.scaled(2), warmup=b"nonsense" * 9)
    flags = [
        "--model_name=opt",
        f"--model_base_path={disk.base('opt')}",
        "--enable_serialization_as_tensor_content",
        "--rest_api_enable_cors_support=true",
        "--enable_grpc_healthcheck_service=false",
        "--rest_api_timeout_in_ms=500",
        f"--grpc_socket_path={disk.root / 'socket'}",
        "--grpc_channel_arguments="
        "grpc.max_metadata_size=1000000,grpc.absolute_max_metadata_size=1000000,some.text=a.b",
        "--enable_signature_method_name_check=true",
        "--enable_model_warmup=false",
        "--max_num_load_retries=1000000",
        "--load_retry_interval_micros=50000",
        "--nonsense=1",
        "--more_nonsense",
    ]
    with launch(*flags) as server:
        server.wait()
        yield server


@pytest.fixture
def api(server: Server) -> Api:
    return server.api


X = floats([1, 2])


def test_the_named_model_is_served(api: Api) -> None:
    """By default its newest version; without warm-up no matter what its warm-up file holds."""
    answer = api.ask(predict_request("opt", x=X))
    agree(answer, "OK", "")
    assert answer.message.model_spec.version.value == 2
    assert api.states("opt") == {2: "AVAILABLE"}
    missing = "Servable not found for request: Latest(default)"
    agree(api.ask(predict_request("default", x=X)), NOT_FOUND, missing)


def test_unknown_arguments_are_printed(server: Server) -> None:
    output = server.running.output()
    assert "unknown argument: --nonsense=1" in output
    assert "unknown argument: --more_nonsense" in output


def test_outputs_as_tensor_content(api: Api) -> None:
    output = api.ask(predict_request("opt", x=X)).message.outputs["y"]
    assert output.tensor_content == (2 * X).tobytes()
    assert {f.name for f, _ in output.ListFields()} == {"dtype", "tensor_shape", "tensor_content"}


def test_rest_is_the_same_with_tensor_content(api: Api) -> None:
    reply = api.call("POST", "/v1/models/opt:predict", {"instances": [1.0, 2.0]})
    assert reply.content == {"predictions": [2.0, 4.0]}


def test_unix_socket(disk: Disk, server: Server) -> None:
    with channel_to(f"unix:{disk.root / 'socket'}") as channel:
        agree(Api(channel).ask(predict_request("opt", x=X)), "OK", "")


def test_cors(api: Api) -> None:
    """Every answer tells web pages that they may read it; the question before is answered."""
    for method, body in (("POST", {"instances": [1.0]}), ("OPTIONS", None)):
        origin = {"Origin": "http://example.com"}
        reply = api.call(method, "/v1/models/opt:predict", body, origin)
        assert reply.status == 200
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]


def test_rest_timeout(api: Api) -> None:
    """DEADLINE_EXCEEDED is 504."""
    body = {"signature_name": "wait", "inputs": "/nonexistent/go"}
    reply = api.call("POST", "/v1/models/opt:predict", body)
    assert reply.status == 504
    assert list(reply.content) == ["error"]


def test_no_health_service(api: Api) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(api.channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert caught.value.code().name == UNIMPLEMENTED


def test_no_monitoring(api: Api) -> None:
    assert api.call("GET", "/monitoring/prometheus/metrics").status == 404


def test_channel_arguments(api: Api) -> None:
    """Numbers as numbers, the rest as text; compare test_messages.test_metadata_too_large."""
    answer = api.ask(predict_request("opt", x=X), metadata=[("extra", "x" * 100_000)])
    agree(answer, "OK", "")


def test_method_names_are_checked(api: Api, disk: Disk) -> None:
    """With its flag; Predict takes the three known ones."""
    two = example(x=2.0)
    was = " signature method_name to be tensorflow/serving/"
    answer = api.ask(classify_request("opt", two, signature="regress"))
    text = f"Expected classification{was}classify. Was: tensorflow/serving/regress"
    agree(answer, INVALID, text)
    answer = api.ask(regress_request("opt", two, signature="classify"))
    text = f"Expected regression{was}regress. Was: tensorflow/serving/classify"
    agree(answer, INVALID, text)
    agree(api.ask(classify_request("opt", two, signature="classify")), "OK", "")
    inputs = np.array([two.SerializeToString()], object)
    request = predict_request("opt", inputs=inputs, spec={"signature": "classify"})
    agree(api.ask(request), "OK", "")


def test_listen_address(server: Server, embedded: bool) -> None:
    """On every network, but for LISTEN_ADDRESS."""
    shown = re.search(r"Running gRPC ModelServer at (\S+):\d+ \.\.\.", server.running.output())
    assert shown
    assert shown[1] == ("127.0.0.1" if embedded else "0.0.0.0"), LISTEN_ADDRESS


def test_loads_are_retried(api: Api, disk: Disk) -> None:
    """While they are, the version is LOADING; put right, it is loaded. The last test here: it
    changes which version serves.
    """
    disk.broken("opt", 3)
    wait_until(lambda: api.states("opt").get(3) == "LOADING", "version 3")
    stays(lambda: api.states("opt") == {3: "LOADING", 2: "AVAILABLE"}, 1.0)
    disk.repair("opt", 3)
    wait_until(lambda: api.states("opt") == {3: "AVAILABLE", 2: "END"}, "version 3")
