"""REST: paths, methods, which version answers, status, metadata, bodies, error statuses."""

import gzip
import json
from typing import Any

import pytest

from tests.conformance.api import Api, zipped
from tests.conformance.cases import RestCase, table
from tests.conformance.differences import BODY_LIMITS

pytestmark = pytest.mark.integration

ONE = {"inputs": [1.0]}
PREDICT = "/v1/models/versions:predict"


def malformed(method: str, path: str, body: Any = None) -> RestCase:
    name = f"{method} {path.replace('/', ' ').strip() or 'root'}"
    return RestCase(
        name, path, body, 400, error=f"Malformed request: {method} {path}", method=method
    )


MALFORMED = [
    malformed("GET", "/v1/"),
    malformed("GET", "/v1/x"),
    malformed("GET", "/v1/models/m/x"),
    malformed("GET", "/v1/models/m/metadata/x"),
    malformed("GET", "/v1/models/m/versions/x"),
    malformed("GET", "/v1/models/m/versions"),
    malformed("GET", "/v1/models/m:predict"),
    malformed("GET", "/v1/models/m/versions/1/labels/stable"),
    malformed("POST", "/v1/models/m", ONE),
    malformed("POST", "/v1/models/m/metadata", ONE),
    malformed("POST", "/v1/models/m:guess", ONE),
    malformed("POST", "/v1/models/m:predict/", ONE),
    malformed("POST", "/v1/models/m/versions/-1:predict", ONE),
    malformed("PUT", "/v1/models/m:predict", ONE),
    malformed("DELETE", "/v1/models/m"),
    RestCase("no model", "/v1/models", status=400, error="Missing model name in request."),
    RestCase("outside", "/v2/models/versions", status=404),
    RestCase("root", "/", status=404),
    RestCase("outside by POST", "/models/versions:predict", ONE, status=404),
]


@table(MALFORMED)
def test_malformed(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


MISSING = "Servable not found for request: "
UNKNOWN = "Unrecognized servable version label: "
BIG = "9" * 20

CHOOSING = [
    RestCase("the highest version", PREDICT, ONE, content={"outputs": [2.0]}),
    RestCase("a version", "/v1/models/versions/versions/1:predict", ONE,
             content={"outputs": [1.0]}),
    RestCase("a version with zeros", "/v1/models/versions/versions/0001:predict", ONE,
             content={"outputs": [1.0]}),
    RestCase("a label", "/v1/models/versions/labels/stable:predict", ONE,
             content={"outputs": [1.0]}),
    RestCase("letters of any case", "/V1/Models/versions/VERSIONS/1:PREDICT", ONE,
             content={"outputs": [1.0]}),
    RestCase("letters of any case in a status", "/V1/MODELS/half_plus_two",
             content={"model_version_status": [{
                 "version": "123", "state": "AVAILABLE",
                 "status": {"error_code": "OK", "error_message": ""}}]}),
    RestCase("a model's letters matter", "/v1/models/VERSIONS:predict", ONE, 404,
             error=MISSING + "Latest(VERSIONS)"),
    RestCase("an unknown model", "/v1/models/none:predict", ONE, 404,
             error=MISSING + "Latest(none)"),
    RestCase("an unknown version", "/v1/models/versions/versions/9:predict", ONE, 404,
             error=MISSING + "Specific(versions, 9)"),
    RestCase("an unknown label", "/v1/models/versions/labels/x:predict", ONE, 400,
             error=UNKNOWN + "x"),
    RestCase("a label of a version away", "/v1/models/versions/labels/gone:predict", ONE, 404,
             error=MISSING + "Specific(versions, 9)"),
    RestCase("a version too large", f"/v1/models/versions/versions/{BIG}:predict", ONE, 400,
             error=f"Failed to convert version: {BIG} to numeric."),
    RestCase("classify, unknown model", "/v1/models/none:classify", {"examples": [{"x": 1.0}]},
             404, error=MISSING + "Latest(none)"),
    RestCase("regress, unknown version", "/v1/models/versions/versions/9:regress",
             {"examples": [{"x": 1.0}]}, 404, error=MISSING + "Specific(versions, 9)"),
    RestCase("status, unknown model", "/v1/models/none", status=404,
             error="Could not find any versions of model none"),
    RestCase("status, unknown version", "/v1/models/versions/versions/9", status=404,
             error="Could not find version 9 of model versions"),
    RestCase("metadata, unknown model", "/v1/models/none/metadata", status=404,
             error=MISSING + "Latest(none)"),
    RestCase("metadata, unknown version", "/v1/models/versions/versions/9/metadata", status=404,
             error=MISSING + "Specific(versions, 9)"),
    RestCase("metadata, unknown label", "/v1/models/versions/labels/x/metadata", status=400,
             error=UNKNOWN + "x"),
]  # fmt: skip


@table(CHOOSING)
def test_choosing(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


def entry(version: int) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    return {"version": str(version), "state": "AVAILABLE", "status": status}


STATUS = [
    RestCase("of all versions", "/v1/models/versions",
             content={"model_version_status": [entry(2), entry(1)]}),
    RestCase("of one version", "/v1/models/versions/versions/1",
             content={"model_version_status": [entry(1)]}),
    RestCase("a label is ignored", "/v1/models/versions/labels/stable",
             content={"model_version_status": [entry(2), entry(1)]}),
]  # fmt: skip


@table(STATUS)
def test_status(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


METADATA = {
    "model_spec": {"name": "images", "signature_name": "", "version": "1"},
    "metadata": {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "inputs": {
                        "images": {
                            "name": "images:0",
                            "dtype": "DT_UINT8",
                            "tensor_shape": {
                                "dim": [{"size": size, "name": ""} for size in ("-1", *"883")],
                                "unknown_rank": False,
                            },
                        }
                    },
                    "outputs": {
                        "probabilities": {
                            "name": "probabilities:0",
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {
                                "dim": [{"size": size, "name": ""} for size in ("-1", "2")],
                                "unknown_rank": False,
                            },
                        }
                    },
                    "method_name": "tensorflow/serving/predict",
                    "defaults": {},
                }
            }
        }
    },
}


@pytest.mark.parametrize(
    "path", ["/v1/models/images/metadata", "/v1/models/images/versions/1/metadata"]
)
def test_metadata(rest: Api, path: str) -> None:
    reply = rest.call("GET", path)
    assert reply.status == 200
    assert reply.content == METADATA


def test_metadata_by_label(rest: Api) -> None:
    reply = rest.call("GET", "/v1/models/versions/labels/stable/metadata")
    spec = {"name": "versions", "signature_name": "", "version": "1"}
    assert (reply.status, reply.content["model_spec"]) == (200, spec)


def test_metadata_of_every_model(rest: Api) -> None:
    """Every signature, whatever its dtypes, shapes and defaults."""
    for model, signatures in {"dtypes": 16, "examples": 24, "defaults": 1}.items():
        content = rest.call("GET", f"/v1/models/{model}/metadata").content
        found = content["metadata"]["signature_def"]["signature_def"]
        assert len(found) == signatures, model
        assert all(set(entry) == set(METADATA_KEYS) for entry in found.values())
    default = found["serving_default"]["defaults"]["bias"]
    assert (default["dtype"], default["tensor_shape"]["dim"][0]["size"]) == ("DT_FLOAT", "2")


METADATA_KEYS = ("inputs", "outputs", "method_name", "defaults")


BODIES = [
    RestCase("gzip", PREDICT, zipped(ONE), content={"outputs": [2.0]},
             headers={"Content-Encoding": "gzip"}),
    RestCase("not gzip", PREDICT, b"nonsense", 400, headers={"Content-Encoding": "gzip"}),
    RestCase("another content type", PREDICT, ONE, content={"outputs": [2.0]},
             headers={"Content-Type": "text/plain"}),
    RestCase("in spaces", PREDICT, b' \n{"inputs" : [ 1 ] }\t\r\n', content={"outputs": [2.0]}),
]  # fmt: skip


@table(BODIES)
def test_bodies(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


def test_large_body(rest: Api) -> None:
    rows = 200_000
    reply = rest.call("POST", PREDICT, {"instances": [1.0] * rows})
    assert reply.status == 200
    assert reply.content == {"predictions": [2.0] * rows}


@pytest.mark.parametrize("zipped_", [False, True], ids=["plain", "gzip"])
def test_body_too_large(rest: Api, embedded: bool | None, zipped_: bool) -> None:
    if not embedded:
        pytest.skip(f"with TensorFlow Serving {BODY_LIMITS.reference}")
    body = b" " * (64 * 2**20) + json.dumps(ONE).encode()
    headers = {"Content-Encoding": "gzip"} if zipped_ else {}
    reply = rest.call("POST", PREDICT, gzip.compress(body, 1) if zipped_ else body, headers)
    assert reply.status == 413
    assert list(reply.content) == ["error"]


def test_answers_are_json(rest: Api) -> None:
    for method, path, body in (("POST", PREDICT, ONE), ("GET", "/v1/models/none", None)):
        reply = rest.call(method, path, body)
        assert reply.headers["Content-Type"] == "application/json"


def test_no_cors_by_default(rest: Api) -> None:
    reply = rest.call("POST", PREDICT, ONE, {"Origin": "http://example.com"})
    assert "Access-Control-Allow-Origin" not in reply.headers


STATUSES = [
    RestCase("INVALID_ARGUMENT is 400", "/v1/models/numbers:predict",
             {"signature_name": "product", "inputs": [[1.0, 2.0]]}, 400),
    RestCase("NOT_FOUND is 404", "/v1/models/none:predict", ONE, 404),
    RestCase("UNIMPLEMENTED is 501", "/v1/models/dtypes:predict",
             {"signature_name": "complex64", "inputs": [1]}, 501,
             error="Conversion of JSON Value: 1 to type: complex64"),
]  # fmt: skip


@table(STATUSES)
def test_statuses(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)
