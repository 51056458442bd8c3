"""Whatever may be given as an image arrives as it was."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from client import AsyncClient, Client, ImageInputError
from contract.pixels import PixelSpec, decode
from tests.client.gateways import OK, ask
from tests.pictures import picture


def sent(image: Any, kind: type[Client | AsyncClient] = Client) -> bytes:
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, json=OK)

    ask(kind, handler, "classify", image, "pets")
    return bodies[0]


def opened(image: Any, kind: type[Client | AsyncClient] = Client) -> Image.Image:
    return Image.open(io.BytesIO(sent(image, kind)))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("shape", "mode"),
    [((5, 7), "L"), ((5, 7, 1), "L"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA")],
)
def test_an_array(kind: type[Client | AsyncClient], shape: tuple[int, ...], mode: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for given in (array, array[::-1], np.asfortranarray(array)):
        image = opened(given, kind)
        assert (image.format, image.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(image).reshape(shape), given)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 7), np.float32),
        np.zeros((5, 7), bool),
        np.zeros((5, 7, 2), np.uint8),
        np.zeros((1, 5, 7, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 7), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_that_is_no_image(array: np.ndarray) -> None:
    with pytest.raises(ImageInputError, match=f"{array.dtype} .*height×width"):
        sent(array)


@pytest.mark.parametrize(
    ("mode", "form"),
    [(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    + [(mode, "TIFF") for mode in ("CMYK", "F", "I", "LAB", "YCbCr")],
)
def test_an_image_in_memory_loses_nothing(mode: str, form: str) -> None:
    base = Image.open(io.BytesIO(picture(mode="L" if mode in ("F", "I", "I;16") else "RGB")))
    size = len(Image.new(mode, base.size).tobytes())
    image = (
        Image.frombytes(mode, base.size, np.random.default_rng(0).bytes(size))
        if mode not in ("1", "P", "F")
        else base.convert(mode)
    )
    arrived = opened(image)
    assert (arrived.format, arrived.mode, arrived.size) == (form, mode, image.size)
    assert arrived.tobytes() == image.tobytes()


def test_an_image_that_fits_no_format() -> None:
    with pytest.raises(ImageInputError, match="HSV"):
        sent(Image.new("HSV", (2, 2)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_opened_image_is_seen_as_its_file_is(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture())).save(buffer, kind, exif=exif)
    spec = PixelSpec(height=9, width=17, channels=3)
    with Image.open(buffer) as image:
        through_client = decode(sent(image), spec)
    np.testing.assert_array_equal(through_client, decode(buffer.getvalue(), spec))


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"headcontent")
    file.seek(4)
    assert sent(file) == b"content"


@pytest.mark.parametrize("image", [io.StringIO("text"), 5, None, (n for n in "ab"), {"b64": ""}])
def test_what_is_no_image(image: object) -> None:
    with pytest.raises(TypeError, match="binary"):
        sent(image)
