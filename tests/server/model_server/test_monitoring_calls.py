"""Which calls are counted, on both ports, and where the page is."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from server.model_server.errors import invalid_argument
from server.model_server.monitoring import DEFAULT_PATH, Metrics
from server.model_server.service import Method, build
from tests.server.model_server import half_plus_two, helpers
from tests.server.model_server.helpers import PATIENCE, channel_to, refusal, rest_call
from tests.server.model_server.test_monitoring import latencies, requests, samples

KINDS = {
    "Predict": (predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    "Classify": (
        classification_pb2.ClassificationRequest,
        classification_pb2.ClassificationResponse,
    ),
    "Regress": (regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
    "MultiInference": (inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse),
    "GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataRequest,
        get_model_metadata_pb2.GetModelMetadataResponse,
    ),
}
"""The types of request and response of each method."""

ANSWERS = {
    "Classify": 'model_spec { name: "m" } result { classifications {} classifications {} }',
    "Regress": 'model_spec { name: "m" } result { regressions {} }',
    "MultiInference": """
        results { model_spec { name: "m" } regression_result { regressions {} regressions {} } }
        results { model_spec { name: "m" }
                  classification_result { classifications {} classifications {} } }
    """,
}


@contextmanager
def calling(metrics: Metrics) -> Iterator[Callable[[str, str], Any]]:
    """A way to call a method of a server about a model whose name says what comes of it."""

    def answering(method: str) -> Any:
        def answer(request: Any, seconds: float | None) -> Any:
            spec = getattr(request, "model_spec", None)
            if spec and spec.name == "bad":
                raise invalid_argument("no good")
            if spec and spec.name == "broken":
                raise ZeroDivisionError
            return text_format.Parse(ANSWERS.get(method, ""), KINDS[method][1]())

        return answer

    service = "tensorflow.serving.PredictionService"
    table = {
        service: {name: Method(kind[0].FromString, answering(name)) for name, kind in KINDS.items()}
    }
    server = build(table, ["127.0.0.1:0"], 2, False, metrics=metrics)
    server.start()

    def call(method: str, model: str) -> Any:
        request = KINDS[method][0]()
        if method != "MultiInference":
            request.model_spec.name = model
        return channel.unary_unary(f"/{service}/{method}", KINDS[method][0].SerializeToString)(
            request, timeout=PATIENCE
        )

    with channel_to(f"127.0.0.1:{server.port}") as channel:
        yield call
    server.grpc_server.stop(grace=0).wait()


def test_grpc_calls() -> None:
    metrics = Metrics()
    for name in ("bad", "broken"):
        metrics.load(name, f"/{name}/1", 1.0, True)
    with calling(metrics) as call:
        for method in KINDS:
            call(method, "m")
        call("Predict", "m")
        assert refusal(lambda: call("Predict", "bad")) == ("INVALID_ARGUMENT", "no good")
        assert refusal(lambda: call("GetModelMetadata", "bad"))[0] == "INVALID_ARGUMENT"
        assert refusal(lambda: call("Regress", "broken"))[0] == "INTERNAL"
    # As in TensorFlow Serving: only these methods, and how long only where it went well.
    assert requests(metrics) == {
        ("m", "OK"): 4,
        ("bad", "INVALID_ARGUMENT"): 1,
        ("broken", "INTERNAL"): 1,
    }
    assert latencies(metrics) == {
        ("m", "Predict", "GRPC"): 2,
        ("m", "Classify", "GRPC"): 1,
        ("m", "Regress", "GRPC"): 1,
    }
    found = samples(metrics.exposition())
    assert found[":tensorflow:serving:request_example_counts_count"] == {("m",): 3}
    assert found[":tensorflow:serving:request_example_count_total"] == {("m",): 2 + 1 + 2}


def test_rest_requests(served: helpers.Served) -> None:
    metrics = Metrics()
    body = {"instances": [[1, 2, 3, 4]]}
    with helpers.rest_running(
        served.manager, metrics=metrics, metrics_path="/metrics", cors=True
    ) as server:

        def call(method: str, path: str, body: Any = None) -> int:
            return rest_call(server.port, method, path, body)[0]

        assert call("POST", "/v1/models/m:predict", body) == 200
        assert call("POST", "/v1/models/m/versions/7:PREDICT", body) == 200
        assert call("POST", "/v1/models/m:predict", {}) == 400
        assert call("POST", "/v1/models/nobody:predict", body) == 404
        assert call("GET", "/v1/models/%6d") == 200
        assert call("GET", "/v1/models/m/metadata") == 200
        assert call("GET", "/v1/models") == 400
        assert call("DELETE", "/v1/models/m") == 400
        assert call("OPTIONS", "/v1/models/m:predict") == 200
        assert call("GET", "/elsewhere") == 404
        page = b"".join(fetch(server.port, "/metrics")[1:])
    assert page == metrics.exposition()
    assert requests(metrics) == {
        ("m", "OK"): 4,
        ("m", "INVALID_ARGUMENT"): 1,
        ("unknown", "NOT_FOUND"): 1,
        ("", "INVALID_ARGUMENT"): 2,
    }
    assert latencies(metrics) == {("m", "predict", "REST"): 2, ("m", "", "REST"): 2}


def test_examples_by_rest(tmp_path: Path) -> None:
    metrics = Metrics()
    asked = (
        ("half_plus_two:regress", {"signature_name": "regress_x_to_y"}, 2, 200),
        ("modern:classify", {}, 3, 200),
        ("modern:classify", {}, 0, 400),
    )
    with (
        half_plus_two.serving(tmp_path) as models,
        helpers.rest_running(models.manager, metrics=metrics) as server,
    ):
        for action, body, count, status in asked:
            body = body | {"examples": [{"x": 2.0}] * count}
            assert rest_call(server.port, "POST", f"/v1/models/{action}", body)[0] == status
    found = samples(metrics.exposition())
    assert found[":tensorflow:serving:request_example_count_total"] == {
        ("half_plus_two",): 2,
        ("modern",): 3,
    }
    assert latencies(metrics) == {
        ("half_plus_two", "regress", "REST"): 1,
        ("modern", "classify", "REST"): 1,
    }


def fetch(port: int, path: str, method: str = "GET") -> tuple[Any, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()


def test_the_page_on_the_rest_port(served: helpers.Served) -> None:
    with helpers.rest_running(served.manager, metrics_path=DEFAULT_PATH) as server:
        for path in (DEFAULT_PATH, f"{DEFAULT_PATH}?name=x"):
            response, page = fetch(server.port, path)
            assert (response.status, response.headers["Content-Type"]) == (200, "text/plain")
            assert ":tensorflow:serving:batching_session:wrapped_run_count_total" in samples(page)
        assert fetch(server.port, DEFAULT_PATH, "HEAD")[1] == b""
        for path in (f"{DEFAULT_PATH}/", "/monitoring", "/"):
            assert fetch(server.port, path)[0].status == 404


def test_no_page_unless_it_is_wanted(served: helpers.Served) -> None:
    with helpers.rest_running(served.manager, metrics=Metrics()) as server:
        response, _ = fetch(server.port, DEFAULT_PATH)
        assert (response.status, response.headers["Content-Type"]) == (404, "application/json")
