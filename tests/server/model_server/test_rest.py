"""REST over a real connection: routes, status, metadata, deadlines."""

import threading

import pytest

from tests.server.model_server import helpers
from tests.server.model_server.helpers import Served, rest_call, rest_running

PREDICT = "/v1/models/m:predict"
ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]


# The original, too, says "classify" of both.
NO_EXAMPLES = (
    "JSON Value: {\"inputs\": [[1.0, 2.0, 3.0, 4.0]]} When method is classify, key 'examples' "
    "is expected and was not found"
)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 404, "Not found: GET /"),
        ("GET", "/monitoring/prometheus/metrics", 404, None),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/metadata/metadata/x", 400, None),
        ("GET", "/v1/x", 400, "Malformed request: GET /v1/x"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/m", 400, "Malformed request: POST /v1/models/m"),
        ("POST", "/v1/models/m:guess", 400, "Malformed request: POST /v1/models/m:guess"),
        ("PUT", PREDICT, 400, f"Malformed request: PUT {PREDICT}"),
        ("OPTIONS", PREDICT, 400, f"Malformed request: OPTIONS {PREDICT}"),
        ("BREW", PREDICT, 501, "Unsupported method ('BREW')"),
        ("POST", "/v1/models/m:classify", 400, NO_EXAMPLES),
        ("POST", "/v1/models/m/versions/7:REGRESS", 400, NO_EXAMPLES),
        ("POST", "/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        ("POST", "/v1/models/m/versions/9:predict", 404,
         "Servable not found for request: Specific(m, 9)"),
        ("POST", "/v1/models/m/labels/stable:predict", 400,
         "Unrecognized servable version label: stable"),
        ("POST", f"/v1/models/m/versions/{'9' * 20}:predict", 400,
         f"Failed to convert version: {'9' * 20} to numeric."),
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/m/versions/9", 404, "Could not find version 9 of model m"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models/%ff%00", 404, "Could not find any versions of model \ufffd\0"),
    ],
)  # fmt: skip
def test_routes_that_fail(
    served: Served, method: str, path: str, status: int, text: str | None
) -> None:
    body = {"inputs": [ROW]} if method == "POST" else None
    answered, content = served.call(method, path, body)
    assert answered == status
    assert text is None or content == {"error": text}


@pytest.mark.parametrize(
    "path", [PREDICT, "/V1/MODELS/m/VERSIONS/7:Predict", "/v1/models/%6d:predict", f"{PREDICT}?a=b"]
)
def test_ways_to_name_a_model(served: Served, path: str) -> None:
    assert served.call("POST", path, {"inputs": [ROW]}) == (200, {"outputs": [DOUBLED]})


@pytest.mark.parametrize(
    "path", ["/v1/models/m", "/v1/models/m/versions/7", "/v1/models/m/labels/x"]
)
def test_status(served: Served, path: str) -> None:
    status = {"error_code": "OK", "error_message": ""}
    entry = {"version": "7", "state": "AVAILABLE", "status": status}
    assert served.call("GET", path) == (200, {"model_version_status": [entry]})


@pytest.mark.parametrize("path", ["/v1/models/m/metadata", "/v1/models/m/versions/7/METADATA"])
def test_metadata(served: Served, path: str) -> None:
    code, content = served.call("GET", path)
    assert code == 200
    assert content["model_spec"] == {"name": "m", "signature_name": "", "version": "7"}
    signature = content["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["defaults"] == {}
    assert signature["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "name": "serving_default_x:0",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "4", "name": ""}],
            "unknown_rank": False,
        },
    }


def test_deadline_ends_a_slow_run_and_a_wait_for_a_turn(served: Served) -> None:
    body = {"signature_name": "wait", "inputs": "/nonexistent/go"}
    with rest_running(served.manager, threads=1, timeout_seconds=0.5) as server:
        answers: list[helpers.Answer] = []

        def call() -> None:
            answers.append(rest_call(server.port, "POST", PREDICT, body))

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [504, 504]
        assert rest_call(server.port, "POST", PREDICT, {"inputs": [ROW]})[0] == 200
