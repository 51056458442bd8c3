"""`:classify`: the forms of a request, and what is answered."""

import base64
import io

import pytest
from flask.testing import FlaskClient
from PIL import Image

from contract.settings import Settings
from server.app import create_app
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer

URL = "/v1/models/pets:classify"


def plain(brightness: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), (brightness,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


DARK, MIDDLE, LIGHT = plain(10), plain(128), plain(250)


def part(data: bytes, name: str = "a.png") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
    answer = http.post(URL, data={"image": [part(b"x"), part(DARK[:60])]})
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
