"""`:explain`: heat maps as numbers and as pictures."""

import base64
import io
import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from contract.errors import BrokenImageError
from contract.settings import Settings
from server.app import create_app
from server.heatmap import LONGEST_SIDE, overlay
from tests.contract.pictures import lossless_jpeg
from tests.manifests import make_explainable
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer
from tests.server.figures import Growth
from tests.server.records import records_of

URL = "/v1/models/pets:explain"
PNG = {"Accept": "image/png"}


@pytest.fixture
def fake(fake: FakeModelServer) -> Iterator[FakeModelServer]:
    fake.models["pets"] = {1: make_explainable()}
    return fake


def half_lit(size: tuple[int, int] = (80, 40), kind: str = "PNG", **more: object) -> bytes:
    """Black, with a white right half."""
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), (size[0] // 2, 0, *size))
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def as_image(answer: TestResponse | bytes) -> Image.Image:
    data = answer if isinstance(answer, bytes) else answer.data
    return Image.open(io.BytesIO(data))


def test_numbers(http: FlaskClient) -> None:
    answer = http.post(URL, data=half_lit())
    assert answer.status_code == 200, answer.text
    assert (answer.json["model"], answer.json["version"]) == ("pets", "1")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    (result,) = answer.json["results"]
    assert (result["label"], result["probability"]) == ("dog", pytest.approx(0.9))
    left, right = result["heatmap"][0]
    assert left < 0.2
    assert right > 0.8
    assert "overlay" not in result


@pytest.mark.parametrize("accept", ["image/png", "image/png, application/json;q=0.5", "image/*"])
def test_a_picture(http: FlaskClient, accept: str) -> None:
    answer = http.post(URL, data=half_lit(), headers={"Accept": accept})
    assert answer.content_type == "image/png"
    assert "Accept" in answer.headers["Vary"]
    assert as_image(answer).size == (80, 40)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", ""])
def test_numbers_unless_a_picture_is_asked_for(http: FlaskClient, accept: str) -> None:
    answer = http.post(URL, data=half_lit(), headers={"Accept": accept})
    assert answer.content_type == "application/json"


def test_several_images_each_with_its_own(http: FlaskClient) -> None:
    body = {"images": [base64.b64encode(each).decode() for each in (half_lit(), b"x", picture())]}
    answer = http.post(URL, json={**body, "overlay": True}, headers=PNG)
    assert answer.content_type == "application/json"
    first, second, third = answer.json["results"]
    assert second["problem"]["type"] == "urn:lince:problem:not-an-image"
    assert as_image(base64.b64decode(first["overlay"])).size == (80, 40)
    assert as_image(base64.b64decode(third["overlay"])).size == (20, 12)


def test_a_bad_image_has_its_own_status(http: FlaskClient) -> None:
    answer = http.post(URL, data=b"no image", headers=PNG)
    assert answer.status_code == 400
    assert answer.json["type"] == "urn:lince:problem:not-an-image"


def test_a_wrong_parameter(http: FlaskClient) -> None:
    answer = http.post(f"{URL}?overlay=perhaps", data=half_lit())
    assert answer.json["type"] == "urn:lince:problem:bad-parameter"


def test_it_is_counted_as_other_inference(
    fake: FakeModelServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    fake.labels["pets"] = {"canary": 1}
    http = create_app(replace(settings, canary=("pets=canary:100",))).test_client()
    track = {"model": "pets", "track": "canary", "code": "200"}
    tracked, decoded, explained, received = (
        Growth("lince_track_requests_total", **track),
        Growth("lince_image_formats_total", format="PNG", mode="RGB"),
        Growth("lince_images_total", outcome="explained"),
        Growth("lince_image_bytes_count"),
    )
    with caplog.at_level(logging.INFO, "lince.access"):
        answer = http.post(URL, data=half_lit(), headers=PNG)
    assert (answer.headers["X-Model-Version"], answer.headers["X-Model-Track"]) == ("1", "canary")
    assert (tracked(), decoded(), explained(), received()) == (1, 1, 1, 1)
    fields = records_of(caplog, "lince.access")[-1].fields  # type: ignore[attr-defined]
    assert (fields["model"], fields["version"], fields["track"]) == ("pets", 1, "canary")


def test_a_picture_that_can_not_be_drawn_is_the_callers_problem(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise BrokenImageError("the image is truncated or corrupt")

    monkeypatch.setattr("server.routes.explain.overlay", broken)
    answer = http.post(URL, data=half_lit(), headers=PNG)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:lince:problem:broken-image")


def test_a_model_that_does_not_explain(http: FlaskClient, fake: FakeModelServer) -> None:
    fake.models["pets"][2] = make_explainable(explains=False)
    answer = http.post("/v1/models/pets/versions/2:explain", data=half_lit())
    assert answer.status_code == 422
    assert answer.json["type"] == "urn:lince:problem:not-explainable"
    assert not [call for call in fake.calls if call[2] == "explain"]


def test_a_version_that_took_the_place(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.post(URL, data=half_lit()).json["version"] == "1"
    fake.models["pets"] = {2: make_explainable(side=16)}
    answer = http.post(URL, data=half_lit())
    assert answer.json["version"] == "2"
    assert [call[1:] for call in fake.calls if call[2] == "explain"][-1] == (
        2,
        "explain",
        (1, 16, 16, 3),
    )


@pytest.mark.parametrize("wrong", ["nan", "rows", "version", "text"])
def test_an_answer_that_makes_no_sense(
    http: FlaskClient, fake: FakeModelServer, wrong: str
) -> None:
    fake.wrong = wrong
    answer = http.post(URL, data=half_lit())
    assert answer.status_code == 502
    assert answer.json["type"] == "urn:lince:problem:bad-model-answer"


def heatmap_of(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_an_overlay_is_bright_where_the_map_is() -> None:
    grey = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(grey, "PNG")
    drawn = as_image(overlay(grey.getvalue(), heatmap_of((0.0, 1.0), (0.0, 0.0)), 10_000))
    dark, bright = drawn.getpixel((4, 60)), drawn.getpixel((60, 4))
    assert sum(bright) > sum(dark) + 150
    assert bright[0] > bright[2]  # the map's yellow


def test_an_overlay_lies_upright() -> None:
    data = half_lit(kind="JPEG", exif=_turned())
    drawn = as_image(overlay(data, heatmap_of((0.0,)), 10_000))
    assert drawn.size == (40, 80)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_overlay_is_small(kind: str) -> None:
    drawn = as_image(overlay(half_lit((3000, 1000), kind), heatmap_of((0.5, 1.0)), 3_000_000))
    assert drawn.size == (LONGEST_SIDE, 171)


def test_an_overlay_of_a_thin_picture() -> None:
    drawn = as_image(overlay(half_lit((4000, 1)), heatmap_of((0.5, 1.0)), 3_000_000))
    assert drawn.size == (LONGEST_SIDE, 1)


def test_an_overlay_of_a_broken_picture() -> None:
    with pytest.raises(BrokenImageError):
        overlay(half_lit()[:80], heatmap_of((0.5,)), 10_000)


def test_a_lossless_jpeg_is_drawn() -> None:
    """Libjpeg decodes it at its full size alone, whatever smaller size it was asked for."""
    levels = np.tile(np.arange(1100, dtype=np.uint16) // 5, (1100, 1)).astype(np.uint8)
    shown = as_image(overlay(lossless_jpeg(levels), np.zeros((4, 4), np.float32), 2_000_000))
    assert shown.size == (LONGEST_SIDE, LONGEST_SIDE)
