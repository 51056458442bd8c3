"""The document against the application, and answers against the document."""

import base64
import functools
import re
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.openapi.document import make_document
from server.problems import KINDS
from tests.manifests import make_explainable
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer

IMPLIED = {"HEAD", "OPTIONS"}
CLASSIFY = "/v1/models/{name}:classify"
PICTURE = base64.b64encode(picture()).decode()


@functools.cache
def document() -> dict[str, Any]:
    return make_document(("pets", "absent"))


def test_it_is_valid() -> None:
    openapi_spec_validator.validate(document())


def test_it_is_served(http: FlaskClient) -> None:
    answer = http.get("/openapi.json")
    assert answer.content_type == "application/json"
    assert answer.json == document()


def test_it_has_every_route_and_no_other(http: FlaskClient) -> None:
    routes = {
        (re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in http.application.url_map.iter_rules()
        for method in (rule.methods or set()) - IMPLIED
    }
    described = {
        (path, method.upper()) for path, item in document()["paths"].items() for method in item
    }
    assert routes == described


def test_every_operation_has_its_own_name() -> None:
    names = [
        operation["operationId"]
        for item in document()["paths"].values()
        for operation in item.values()
    ]
    assert len(names) == len(set(names))


def test_it_has_every_kind_of_problem() -> None:
    described = set()
    responses = document()["components"]["responses"]
    for status, response in responses.items():
        if not status.isdigit():
            assert response["description"] == responses[status.removeprefix("v2")]["description"]
            continue
        schema = response["content"]["application/problem+json"]["schema"]
        members = schema["allOf"][1]["properties"]
        assert members["status"]["const"] == int(status)
        described |= {(kind, int(status)) for kind in members["type"]["enum"]}
    assert described == {(kind.type, kind.status) for kind in KINDS}


def test_tags_are_used_and_described() -> None:
    used = {
        tag
        for item in document()["paths"].values()
        for operation in item.values()
        for tag in operation["tags"]
    }
    assert used == {tag["name"] for tag in document()["tags"]}


def resolve(given: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in given:
        return given
    place: Any = document()
    for name in given["$ref"].removeprefix("#/").split("/"):
        place = place[name]
    return place


def check(answer: TestResponse, path: str, method: str = "get") -> None:
    """Fails unless an answer is one that the document has for the route."""
    responses = document()["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, (path, answer.status, answer.text)
    response = resolve(responses[str(answer.status_code)])
    assert answer.mimetype in response["content"], (path, answer.content_type)
    for name in response["headers"]:
        if name not in ("Server-Timing", "X-Model-Track", "Inference-Header-Content-Length"):
            assert name in answer.headers, (path, answer.status, name)
    if answer.mimetype.endswith("json"):
        schema = response["content"][answer.mimetype]["schema"]
        whole = {**schema, "components": document()["components"]}
        jsonschema.validate(answer.json, whole, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "path", [path for path, item in document()["paths"].items() if "get" in item]
)
@pytest.mark.parametrize("values", [("pets", "1", "page.js"), ("absent", "7", "x")])
def test_answers_to_get_are_described(
    http: FlaskClient, path: str, values: tuple[str, str, str]
) -> None:
    filled = path.format(**dict(zip(("name", "number", "file"), values, strict=True)))
    check(http.get(filled), path)


@pytest.mark.parametrize(
    "request_form",
    [
        {"data": picture()},
        {"data": picture(), "query_string": {"probabilities": "true", "top_k": "2"}},
        {"json": {"images": [PICTURE, "AAAA", "?"]}},
        {"data": b"no image"},
        {"data": b""},
        {"json": {"image": 1}},
        {"data": "x", "content_type": "text/plain"},
        {"data": picture(), "query_string": {"top_k": "0"}},
        {"data": picture(), "headers": {"X-Request-Timeout": "never"}},
        {"data": bytes(1_000_001)},
    ],
)
def test_answers_of_classify_are_described(http: FlaskClient, request_form: dict) -> None:
    check(http.post("/v1/models/pets:classify", **request_form), CLASSIFY, "post")


@pytest.mark.parametrize("model", ["absent", "unknown"])
def test_answers_without_a_model_are_described(http: FlaskClient, model: str) -> None:
    for verb in ("classify", "predict", "explain"):
        answer = http.post(f"/v1/models/{model}:{verb}", json={"image": PICTURE})
        check(answer, f"/v1/models/{{name}}:{verb}", "post")


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"b64": PICTURE}]},
        {"inputs": [{"b64": PICTURE}]},
        {"instances": [{"b64": "AAAA"}]},
        {},
    ],
)
def test_answers_of_predict_are_described(http: FlaskClient, body: dict) -> None:
    answer = http.post("/v1/models/pets:predict", json=body)
    check(answer, "/v1/models/{name}:predict", "post")


def test_answers_of_explain_are_described(http: FlaskClient, fake: FakeModelServer) -> None:
    path = "/v1/models/{name}:explain"
    check(http.post("/v1/models/pets:explain", data=picture()), path, "post")
    fake.models["pets"][2] = make_explainable()
    for url in (
        "/v1/models/pets/versions/2:explain",
        "/v1/models/pets/versions/2:explain?overlay=1",
    ):
        answer = http.post(url, json={"images": [PICTURE, "AAAA"]})
        assert answer.status_code == 200, answer.text
        check(answer, path, "post")
    png = http.post(url, data=picture(), headers={"Accept": "image/png"})
    assert png.mimetype == "image/png"
    check(png, path, "post")


@pytest.mark.parametrize(
    "tensor",
    [
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": [PICTURE]},
        {"name": "images", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": [7] * 192},
        {"name": "images", "shape": [1], "datatype": "FP64", "data": [1.0]},
    ],
)
def test_answers_of_infer_are_described(http: FlaskClient, tensor: dict) -> None:
    answer = http.post("/v2/models/pets/infer", json={"id": "7", "inputs": [tensor]})
    check(answer, "/v2/models/{name}/infer", "post")
