"""`:classify`: the forms of a request, and what is answered."""

import io
import re

import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from server.app import create_app
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer
from tests.server.samples import DARK, LIGHT, MIDDLE, b64

URL = "/v1/models/pets:classify"


def part(data: bytes, name: str = "a.png") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


@pytest.mark.parametrize(
    "request_form",
    [
        {"data": LIGHT, "content_type": "image/png"},
        {"data": LIGHT, "content_type": "application/octet-stream"},
        {"data": LIGHT, "content_type": "image/jpeg"},  # the bytes decide, not the header
        {"data": LIGHT},
        {"data": LIGHT, "content_type": "application/x-www-form-urlencoded"},  # curl's default
        {"data": {"image": part(LIGHT)}},
        {"json": {"image": b64(LIGHT)}},
        {"json": {"image": {"b64": b64(LIGHT)}}},
        {"json": {"images": [b64(LIGHT)]}},
    ],
    ids=lambda form: next(iter(form)) + " " + str(form.get("content_type", "")),
)
def test_every_form_of_one_image(http: FlaskClient, request_form: dict) -> None:
    answer = http.post(URL, **request_form)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    assert answer.json["model"] == "pets"
    assert answer.json["version"] == "1"
    (result,) = answer.json["results"]
    assert result["label"] == "owl"
    assert result["probability"] == pytest.approx(0.9)
    assert [entry["label"] for entry in result["top_k"]] == ["owl", "cat", "dog"]


@pytest.mark.parametrize(
    "request_form",
    [
        {"data": {"image": [part(DARK), part(MIDDLE), part(LIGHT)]}},
        {"json": {"images": [b64(DARK), {"b64": b64(MIDDLE)}, b64(LIGHT)]}},
    ],
    ids=["multipart", "json"],
)
def test_several_images_keep_their_order(http: FlaskClient, request_form: dict) -> None:
    answer = http.post(URL, **request_form)
    assert [result["label"] for result in answer.json["results"]] == ["cat", "dog", "owl"]


def test_several_images_are_one_call(http: FlaskClient, fake: FakeModelServer) -> None:
    http.post(URL, data={"image": [part(DARK), part(LIGHT)]})
    predictions = [call for call in fake.calls if call[2] == "serving_default"]
    assert predictions == [("pets", 1, "serving_default", (2, 8, 8, 3))]


def test_a_bad_image_does_not_fail_the_others(http: FlaskClient) -> None:
    answer = http.post(URL, data={"image": [part(DARK), part(b"no image"), part(LIGHT)]})
    assert answer.status_code == 200
    first, second, third = answer.json["results"]
    assert (first["label"], third["label"]) == ("cat", "owl")
    assert second["problem"]["type"] == "urn:lince:problem:not-an-image"
    assert second["problem"]["status"] == 400


def test_only_bad_images(http: FlaskClient, fake: FakeModelServer) -> None:
    answer = http.post(URL, data={"image": [part(b"x"), part(DARK[:50])]})
    assert answer.status_code == 200
    kinds = [result["problem"]["type"].split(":")[-1] for result in answer.json["results"]]
    assert kinds == ["not-an-image", "broken-image"]
    assert not [call for call in fake.calls if call[2] == "serving_default"]


@pytest.mark.parametrize(
    ("request_form", "count"),
    [
        ({"query_string": {"top_k": "1"}, "data": LIGHT}, 1),
        ({"query_string": {"top_k": "2"}, "data": LIGHT}, 2),
        ({"query_string": {"top_k": "99"}, "data": LIGHT}, 3),
        ({"data": {"image": part(LIGHT), "top_k": "2"}}, 2),
        ({"json": {"image": b64(LIGHT), "top_k": 1}}, 1),
    ],
)
def test_top_k(http: FlaskClient, request_form: dict, count: int) -> None:
    (result,) = http.post(URL, **request_form).json["results"]
    assert len(result["top_k"]) == count
    assert result["top_k"][0] == {key: result[key] for key in ("label", "probability")}


def test_a_grey_model_gets_grey_pixels(fake: FakeModelServer, settings: Settings) -> None:
    fake.models["pets"] = {1: make_manifest(channels=1)}
    http = create_app(settings).test_client()
    assert http.post(URL, data=LIGHT).json["results"][0]["label"] == "owl"
    assert [call[3] for call in fake.calls if call[2] == "serving_default"] == [(1, 8, 8, 1)]


def test_request_id_is_kept_or_made(http: FlaskClient) -> None:
    given = http.post(URL, data=LIGHT, headers={"X-Request-Id": "abc-1"})
    assert given.headers["X-Request-Id"] == "abc-1"
    made = http.post(URL, data=LIGHT, headers={"X-Request-Id": 'no"good\\'})
    assert len(made.headers["X-Request-Id"]) == 32


def test_a_picture_of_any_format(http: FlaskClient) -> None:
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM"):
        answer = http.post(URL, data=picture(kind, mode="L" if kind == "GIF" else "RGB"))
        assert answer.status_code == 200, (kind, answer.text)


def test_a_bad_base64_does_not_fail_the_others(http: FlaskClient) -> None:
    answer = http.post(URL, json={"images": [b64(DARK), "no base64!", {"b64": b64(LIGHT)}]})
    first, second, third = answer.json["results"]
    assert (first["label"], third["label"]) == ("cat", "owl")
    assert second["problem"]["type"] == "urn:lince:problem:bad-body"
    alone = http.post(URL, json={"image": "no base64!"})
    assert (alone.status_code, alone.json["type"]) == (400, "urn:lince:problem:bad-body")


@pytest.mark.parametrize(
    ("threshold", "labels"),
    [
        ("0", ["owl", "cat", "dog"]),
        ("0.05", ["owl"]),
        ("0.95", []),
        ("1e-9", ["owl", "cat", "dog"]),
    ],
)
def test_threshold(http: FlaskClient, threshold: str, labels: list[str]) -> None:
    """The fake's 0.05 is a little below it as a float32."""
    threshold = "0.0500001" if threshold == "0.05" else threshold
    (result,) = http.post(f"{URL}?threshold={threshold}", data=LIGHT).json["results"]
    assert [entry["label"] for entry in result["top_k"]] == labels
    assert (result["label"], result["probability"]) == ("owl", pytest.approx(0.9))


@pytest.mark.parametrize(
    "request_form",
    [
        {"query_string": {"probabilities": "true"}, "data": LIGHT},
        {"data": {"image": part(LIGHT), "probabilities": "1"}},
        {"json": {"image": b64(LIGHT), "probabilities": True}},
        {"json": {"image": b64(LIGHT), "probabilities": True, "top_k": None, "threshold": 0.5}},
    ],
)
def test_all_probabilities(http: FlaskClient, request_form: dict) -> None:
    answer = http.post(URL, **request_form).json
    assert answer["labels"] == ["cat", "dog", "owl"]
    (result,) = answer["results"]
    assert result["probabilities"] == pytest.approx([0.05, 0.05, 0.9])


def test_probabilities_are_left_out_unless_asked_for(http: FlaskClient) -> None:
    for query in ("", "?probabilities=false"):
        answer = http.post(URL + query, data=LIGHT).json
        assert "labels" not in answer
        assert "probabilities" not in answer["results"][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("top_k", value) for value in ("0", "-1", "1.5", "x", "", "9" * 5000)],
        *[("threshold", value) for value in ("-0.1", "1.1", "nan", "x", "")],
        *[("probabilities", value) for value in ("yes", "", "2")],
    ],
)
def test_wrong_parameters(http: FlaskClient, name: str, value: str) -> None:
    forms = [
        {"query_string": {name: value}, "data": LIGHT},
        {"data": {"image": part(LIGHT), name: value}},
        {"json": {"image": b64(LIGHT), name: value}},
    ]
    for form in forms:
        answer = http.post(URL, **form)
        assert (answer.status_code, answer.json["type"]) == (422, "urn:lince:problem:bad-parameter")
        assert answer.json["detail"].startswith(f"{name}={value[:50]}: ")


@pytest.mark.parametrize("value", [[], {}, [1], True])
def test_wrong_parameters_of_json_alone(http: FlaskClient, value: object) -> None:
    answer = http.post(URL, json={"image": b64(LIGHT), "top_k": value})
    assert (answer.status_code, answer.json["type"]) == (422, "urn:lince:problem:bad-parameter")


def test_the_answer_has_the_request_id_and_the_times(http: FlaskClient) -> None:
    answer = http.post(URL, data=LIGHT, headers={"X-Request-Id": "abc-1"})
    assert answer.json["request_id"] == "abc-1"
    timing = answer.headers["Server-Timing"]
    found = re.findall(r"([a-z]+);dur=([0-9]+\.[0-9]+)(?:, |$)", timing)
    assert [name for name, _ in found] == ["read", "decode", "predict", "total"]
    times = {name: float(milliseconds) for name, milliseconds in found}
    assert times.pop("total") >= sum(times.values()) - 0.05  # each is rounded


def test_times_of_a_failure(http: FlaskClient) -> None:
    answer = http.post(URL, data=b"no image")
    assert re.match(
        r"read;dur=[0-9.]+, queue;dur=[0-9.]+, decode;dur=[0-9.]+, total;dur=",
        answer.headers["Server-Timing"],
    )


def test_tensorflow_serving_s_own_form(http: FlaskClient) -> None:
    answer = http.post(URL, json={"examples": [{"image": {"b64": b64(LIGHT)}}]})
    assert (answer.status_code, answer.json["type"]) == (422, "urn:lince:problem:bad-parameter")
    assert "TensorFlow Serving" in answer.json["detail"]


def test_a_form_of_too_many_parts(http: FlaskClient) -> None:
    parts = {f"other{number}": "x" for number in range(50)}
    answer = http.post(URL, data={"image": part(LIGHT), **parts})
    assert (answer.status_code, answer.json["type"]) == (422, "urn:lince:problem:too-many-images")


def test_files_of_a_form_are_not_written_to_the_disk(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    data = LIGHT + bytes(800_000)  # Pillow stops where a picture ends
    form = "multipart/form-data; boundary=x"
    answer = http.post(URL, data=head + data + b"\r\n--x--\r\n", content_type=form)
    assert answer.status_code == 200, answer.text


def test_a_compressed_form(http: FlaskClient) -> None:
    answer = http.post(URL, data={"image": part(LIGHT)}, headers={"Content-Encoding": "gzip"})
    assert answer.json["type"] == "urn:lince:problem:unsupported-media-type"


def test_a_compressed_body(http: FlaskClient) -> None:
    for form in ({"data": LIGHT}, {"json": {"image": b64(LIGHT)}}):
        answer = http.post(URL, headers={"Content-Encoding": "gzip"}, **form)
        assert answer.status_code == 415
        plain = http.post(URL, headers={"Content-Encoding": "identity"}, **form)
        assert plain.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"image": ' + b"[" * 100_000,
        b'{"top_k": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"images": [[["x"]]]}',
        b'{"images": {"a": "x"}}',
        b'{"image": "' + b"\xff" + b'"}',
        b'{"\xff": 1}',
        b'{"image": "\\ud800"}',
    ],
)
def test_json_of_another_form(http: FlaskClient, body: bytes) -> None:
    answer = http.post(URL, data=body, content_type="application/json")
    assert (answer.status_code, answer.json["type"]) == (400, "urn:lince:problem:bad-body")


def test_heic_is_read_where_its_library_is(http: FlaskClient) -> None:
    from tests.contract.test_heif import heic_of

    assert http.post(URL, data=heic_of(250)).json["results"][0]["label"] == "owl"


def test_heic_without_its_library(http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract.heif.AVAILABLE", False)
    answer = http.post(URL, data=b"\0\0\0\x18ftypheic" + bytes(100))
    assert (answer.status_code, answer.json["type"]) == (400, "urn:lince:problem:not-an-image")
    assert "no HEIC support" in answer.json["detail"]
