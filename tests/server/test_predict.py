"""`:predict`: TensorFlow Serving's and KServe's V1 form."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.server.fake_model_server import FakeModelServer
from tests.server.samples import DARK, LIGHT, MIDDLE, b64, nested

URL = "/v1/models/pets:predict"
IMAGES = [DARK, MIDDLE, LIGHT]
ROWS = pytest.approx([0.9, 0.05, 0.05]), pytest.approx([0.05, 0.9, 0.05])


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"instances": [{"b64": b64(DARK)}, {"b64": b64(MIDDLE)}]}, "predictions"),
        ({"instances": [{"image": {"b64": b64(DARK)}}, {"b64": b64(MIDDLE)}]}, "predictions"),
        ({"instances": [nested(10), nested(128)]}, "predictions"),
        ({"instances": [{"images": nested(10)}, {"images": nested(128)}]}, "predictions"),
        ({"instances": [nested(10.0), {"b64": b64(MIDDLE)}]}, "predictions"),
        ({"inputs": [{"b64": b64(DARK)}, {"b64": b64(MIDDLE)}]}, "outputs"),
        ({"inputs": {"images": [{"b64": b64(DARK)}, nested(128)]}}, "outputs"),
        ({"inputs": [nested(10), nested(128)]}, "outputs"),
        (
            {"signature_name": "serving_default", "instances": [nested(10), nested(128)]},
            "predictions",
        ),
    ],
)
def test_forms(http: FlaskClient, fake: FakeModelServer, body: dict, member: str) -> None:
    answer = http.post(URL, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json == {member: [*ROWS]}
    assert answer.headers["X-Model-Version"] == "1"
    assert "predict;dur=" in answer.headers["Server-Timing"]
    predictions = [call for call in fake.calls if call[2] == "serving_default"]
    assert predictions == [("pets", 1, "serving_default", (2, 8, 8, 3))]


def test_numbers_are_the_pixels_of_the_file(http: FlaskClient) -> None:
    by_file = http.post(URL, json={"instances": [{"b64": b64(MIDDLE)}]}).json
    assert http.post(URL, json={"instances": [nested(128)]}).json == by_file


def test_any_content_type(http: FlaskClient) -> None:
    """As TensorFlow Serving, whose clients often send none, or curl's."""
    body = f'{{"instances": [{{"b64": "{b64(LIGHT)}"}}]}}'
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert http.post(URL, data=body, content_type=content_type).status_code == 200


def test_a_version_in_the_path(http: FlaskClient) -> None:
    body = {"instances": [nested(10)]}
    assert http.post("/v1/models/pets/versions/1:predict", json=body).status_code == 200
    assert http.post("/v1/models/pets/versions/7:predict", json=body).status_code == 404


BAD: list[tuple[Any, int, str, str]] = [
    ({}, 400, "bad-body", "'instances' and 'inputs'"),
    ({"instances": [nested(1)], "inputs": [nested(1)]}, 400, "bad-body", "'instances'"),
    ({"instances": []}, 422, "no-image", "no image"),
    ({"inputs": []}, 422, "no-image", "no image"),
    ({"instances": [nested(1)] * 5}, 422, "too-many-images", "5 images"),
    ({"instances": "x"}, 400, "bad-body", "not as expected"),
    ({"instances": [1]}, 400, "bad-body", "not as expected"),
    ({"instances": [{"b64": b64(DARK)}], "what": 1}, 400, "bad-body", "what"),
    ({"instances": [{"a": nested(1), "b": nested(1)}]}, 400, "bad-body", "instance 0: one"),
    ({"instances": [nested(1), {}]}, 400, "bad-body", "instance 1: one"),
    ({"instances": [{"image": "abc"}]}, 400, "bad-body", "instance 0: bytes"),
    ({"inputs": {"a": [nested(1)], "b": []}}, 400, "bad-body", "one input"),
    ({"inputs": {"b64": "abc"}}, 400, "bad-body", "not as expected"),
    ({"instances": [nested(1), {"b64": "?"}]}, 400, "bad-body", "image 1: not base64"),
    ({"instances": [nested(1), {"b64": "YWJj"}]}, 400, "not-an-image", "image 1: "),
    ({"instances": [nested(1), {"b64": b64(DARK[:50])}]}, 400, "broken-image", "image 1: "),
    ({"instances": [nested(1), nested(256)]}, 400, "bad-body", "image 1: pixels are whole"),
    ({"instances": [nested(-1)]}, 400, "bad-body", "image 0: pixels are whole"),
    ({"instances": [nested(0.5)]}, 400, "bad-body", "image 0: pixels are whole"),
    ({"instances": [nested(10**30)]}, 400, "bad-body", "image 0: pixels are"),
    ({"instances": [nested(1, side=7)]}, 400, "bad-body", "image 0: pixels of the shape 7×7×3"),
    ({"instances": [nested(1, channels=1)]}, 400, "bad-body", "the model wants 8×8×3"),
    ({"instances": [[[[1], [1, 2]]]]}, 400, "bad-body", "image 0: the numbers are no array"),
    ({"instances": [[]]}, 400, "bad-body", "image 0: pixels of the shape 0"),
    ({"signature_name": "encoded", "instances": []}, 422, "bad-parameter", "serving_default"),
]


@pytest.mark.parametrize(("body", "status", "kind", "words"), BAD)
def test_bad_requests(
    http: FlaskClient, fake: FakeModelServer, body: Any, status: int, kind: str, words: str
) -> None:
    answer = http.post(URL, json=body)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:lince:problem:{kind}")
    assert answer.content_type == "application/problem+json"
    assert answer.json["error"] == answer.json["detail"]
    assert words in answer.json["error"]
    # All or nothing: nothing was asked of the model.
    assert not [call for call in fake.calls if call[2] == "serving_default"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b'{"instances": [' + b"[" * 2000,
        b'{"instances": [' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"instances": [[[[1e999]]]]}',
        b'{"instances": [[[[NaN]]]]}',
        b'{"instances": [[[[true, null]]]]}',
    ],
)
def test_broken_json(http: FlaskClient, body: bytes) -> None:
    answer = http.post(URL, data=body)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:lince:problem:bad-body")


def test_more_numbers_than_the_model_ever_wants(http: FlaskClient) -> None:
    """They are refused before they take ten times the memory."""
    body = b'{"instances": [[[[' + b"0," * 400_000 + b"0]]]]}"
    answer = http.post(URL, data=body)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:lince:problem:bad-body")
    assert "far more numbers than 4 images" in answer.json["detail"]


def test_problems_of_the_address_have_the_error_too(http: FlaskClient) -> None:
    answer = http.post("/v1/models/nobody:predict", json={"instances": [nested(1)]})
    assert (answer.status_code, answer.json["type"]) == (404, "urn:lince:problem:unknown-model")
    assert answer.json["error"]
