"""What goes wrong is answered with the right problem, and with nothing of the inside."""

import io
import struct
import zlib
from dataclasses import replace

import grpc
import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from server.app import create_app
from server.problems import KINDS
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer

URL = "/v1/models/pets:classify"
GOOD = picture("JPEG", size=(64, 48))


def bomb() -> bytes:
    """The header of a PNG of 20,000×20,000 pixels and a little data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def multipart(**parts: list[bytes]) -> dict:
    return {
        "data": {
            name: [(io.BytesIO(data), "file") for data in contents]
            for name, contents in parts.items()
        }
    }


CASES = {
    "a text file": ({"data": b"hello, world"}, 400, "not-an-image"),
    "a truncated JPEG": ({"data": GOOD[: len(GOOD) // 2]}, 400, "broken-image"),
    "a bomb": ({"data": bomb()}, 400, "image-too-large"),
    "more pixels than allowed": (
        {"data": picture("PNG", size=(1001, 1000), mode="1")},
        400,
        "image-too-large",
    ),
    "an empty body": ({"data": b""}, 422, "no-image"),
    "a form without the part": (multipart(file=[GOOD]), 422, "no-image"),
    "too many images": (multipart(image=[GOOD] * 5), 422, "too-many-images"),
    "top_k of zero": ({"data": GOOD, "query_string": "top_k=0"}, 422, "bad-parameter"),
    "top_k of words": ({"data": GOOD, "query_string": "top_k=many"}, 422, "bad-parameter"),
    "top_k of words in JSON": ({"json": {"image": "", "top_k": "x"}}, 422, "bad-parameter"),
    "broken JSON": ({"data": b"{", "content_type": "application/json"}, 400, "bad-body"),
    "deep JSON": ({"data": b"[" * 90_000, "content_type": "application/json"}, 400, "bad-body"),
    "JSON of another form": ({"json": {"instances": []}}, 400, "bad-body"),
    "JSON without an image": ({"json": {}}, 422, "no-image"),
    "JSON that is no base64": ({"json": {"image": "é!"}}, 400, "bad-body"),
    "JSON with an empty image": ({"json": {"image": ""}}, 400, "not-an-image"),
    "a type of its own": (
        {"data": GOOD, "content_type": "text/html"},
        415,
        "unsupported-media-type",
    ),
    "a large body": ({"data": bytes(1_000_001)}, 413, "body-too-large"),
    "a large form": (
        {"data": b"--x\r\n" + bytes(1_000_001), "content_type": "multipart/form-data; boundary=x"},
        413,
        "body-too-large",
    ),
    "a broken form": (
        {"data": b"--x\r\nnonsense", "content_type": "multipart/form-data; boundary=x"},
        422,
        "no-image",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_requests(http: FlaskClient, case: str) -> None:
    request_form, status, kind = CASES[case]
    answer = http.post(URL, **request_form)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:lince:problem:{kind}")
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "retryable"}
    assert answer.json["status"] == status
    assert "Traceback" not in answer.text
    assert "0x" not in answer.text  # no object's address either


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/models/nobody:classify", 404, "unknown-model"),
        ("GET", "/v1/models/nobody", 404, "unknown-model"),
        ("POST", "/v1/models/pets/versions/9:classify", 404, "unknown-version"),
        ("POST", "/v1/models/pets/versions/x:classify", 404, "not-found"),
        ("POST", f"/v1/models/pets/versions/{2**63}:classify", 404, "not-found"),
        ("POST", f"/v1/models/pets/versions/{2**63 - 1}:classify", 404, "unknown-version"),
        ("POST", "/v1/models/pets:translate", 404, "not-found"),
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", URL, 405, "method-not-allowed"),
        ("POST", "/livez", 405, "method-not-allowed"),
        ("POST", "/v1/models/absent:classify", 503, "unavailable"),
    ],
)
def test_bad_addresses(http: FlaskClient, method: str, path: str, status: int, kind: str) -> None:
    answer = http.open(path, method=method, data=GOOD if method == "POST" else None)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:lince:problem:{kind}")


def test_method_not_allowed_says_what_is(http: FlaskClient) -> None:
    assert "POST" in http.put(URL).headers["Allow"]


def test_an_unknown_model_costs_no_call(http: FlaskClient, fake: FakeModelServer) -> None:
    http.post("/v1/models/nobody:classify", data=GOOD)
    assert "nobody" not in {call[0] for call in fake.calls}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "unavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "timeout"),
        (grpc.StatusCode.INTERNAL, 502, "bad-model-answer"),
        (grpc.StatusCode.INVALID_ARGUMENT, 502, "bad-model-answer"),
        (grpc.StatusCode.FAILED_PRECONDITION, 422, "not-a-classifier"),
    ],
)
def test_a_model_server_that_fails(
    http: FlaskClient, fake: FakeModelServer, status: grpc.StatusCode, code: int, kind: str
) -> None:
    assert http.post(URL, data=GOOD).status_code == 200
    fake.fail = status
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (code, f"urn:lince:problem:{kind}")
    assert "the fake fails" not in answer.text  # no text of the inside
    assert ("Retry-After" in answer.headers) == (code == 503)
    assert answer.json["retryable"] == (code in (503, 504))


@pytest.mark.parametrize("wrong", ["rows", "classes", "nan", "text", "version", "missing"])
def test_answers_that_make_no_sense(http: FlaskClient, fake: FakeModelServer, wrong: str) -> None:
    assert http.post(URL, data=GOOD).status_code == 200
    fake.wrong = wrong
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (502, "urn:lince:problem:bad-model-answer")


def test_a_broken_manifest(settings: Settings, fake: FakeModelServer) -> None:
    fake.wrong = "manifest"
    http = create_app(settings).test_client()
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (502, "urn:lince:problem:bad-model-answer")


def test_a_slow_model_server(settings: Settings, fake: FakeModelServer) -> None:
    from dataclasses import replace

    http = create_app(replace(settings, timeout_seconds=0.3)).test_client()
    assert http.post(URL, data=GOOD).status_code == 200
    fake.delay = 2.0
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (504, "urn:lince:problem:timeout")


def test_no_model_server_at_all(settings: Settings) -> None:
    from dataclasses import replace

    http = create_app(replace(settings, model_server="127.0.0.1:1")).test_client()
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (503, "urn:lince:problem:unavailable")
    assert http.get("/livez").status_code == 200
    assert http.get("/readyz").status_code == 503


@pytest.mark.parametrize("task", ["features", "regression"])
def test_models_that_do_not_classify(settings: Settings, fake: FakeModelServer, task: str) -> None:
    fake.models["pets"] = {1: make_manifest((), task=task)}
    http = create_app(settings).test_client()
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (422, "urn:lince:problem:not-a-classifier")


def test_an_unexpected_error_is_a_500_without_a_trace(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("server.bodies.read", fail)
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (500, "urn:lince:problem:internal-error")
    assert "secret" not in answer.text


@pytest.mark.parametrize("task", ["features", "regression"])
def test_a_model_that_does_not_classify_is_ready_too(
    settings: Settings, fake: FakeModelServer, task: str
) -> None:
    """It is called over the model server's own API; the gateway shows it and its readiness."""
    fake.models["pets"] = {1: make_manifest((), task=task)}
    http = create_app(replace(settings, models=("pets",))).test_client()
    assert http.get("/readyz").json == {"status": "ready"}
    assert http.get("/v1/models/pets").json["manifest"]["task"] == task


def test_the_list_does_not_need_the_model_server(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.post(URL, data=GOOD).status_code == 200
    fake.fail = grpc.StatusCode.UNAVAILABLE
    assert http.get("/v1/models").json["models"][0]["name"] == "pets"
    card = http.get("/v1/models/pets")
    assert (card.status_code, card.json["ready"]) == (200, False)


def test_short_of_memory_is_not_the_picture_s_fault(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("contract.pixels.to_grey_or_srgb", fail)
    answer = http.post(URL, data=GOOD)
    assert (answer.status_code, answer.json["type"]) == (503, "urn:lince:problem:unavailable")


def test_kinds_are_distinct() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(400 <= kind.status < 600 for kind in KINDS)
