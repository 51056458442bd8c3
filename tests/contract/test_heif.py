"""HEIC by the extra `heic`: what is in the file comes out, and nothing else breaks."""

import importlib.util
import io
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract import heif
from contract.errors import BrokenImageError, ImageError, ImageTooLargeError, NotAnImageError
from contract.pixels import decode, open_image, orientation
from tests.contract.pictures import (
    ANY_COLOUR,
    ANY_GREY,
    SMALL_COLOUR,
    exif,
    gradient,
    luma,
    on_white,
    pattern,
    save,
    wide_profile,
)

if not heif.AVAILABLE:
    if os.environ.get("LINCE_TEST_REQUIRE") == "all":
        pytest.fail("pillow-heif is missing, and LINCE_TEST_REQUIRE=all allows no skip")
    pytest.skip("needs the extra heic", allow_module_level=True)


def heic(picture: np.ndarray | Image.Image, **options: Any) -> bytes:
    """A HEIC file without loss."""
    heif.register()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    # Matrix 0 keeps RGB as it is: YCbCr would round it.
    usual = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    return save(image, "HEIF", **(usual | options))


def heic_of(brightness: int) -> bytes:
    return heic(np.full((16, 16, 3), brightness, np.uint8))


RGB = pattern(32, 48, 3)


def test_what_is_in_the_file_comes_out() -> None:
    result = decode(heic(RGB), ANY_COLOUR)
    np.testing.assert_array_equal(result, RGB)


def test_grey_and_size_are_the_rule_s() -> None:
    file, same = heic(RGB), save(Image.fromarray(RGB), "PNG")
    for spec in (ANY_GREY, SMALL_COLOUR):
        np.testing.assert_array_equal(decode(file, spec), decode(same, spec))


def test_alpha_is_composited_on_white() -> None:
    rgba = np.dstack([RGB, pattern(32, 48, 1)[..., 0]])
    expected = on_white(rgba[..., :3], rgba[..., 3])
    assert np.abs(decode(heic(rgba), ANY_COLOUR) - expected).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied_once(turn: int) -> None:
    """A camera's orientation becomes the container's, which the decoder applies."""
    turned = save(Image.fromarray(RGB), "PNG", exif=exif(turn))
    with Image.open(io.BytesIO(turned)) as image:
        file = heic(image)
    np.testing.assert_array_equal(decode(file, ANY_COLOUR), decode(turned, ANY_COLOUR))
    assert orientation(open_image(file)) == 1


def test_a_profile_is_applied() -> None:
    picture, profile = gradient(32, 48), wide_profile()
    file = heic(picture, icc_profile=profile)
    expected = decode(save(Image.fromarray(picture), "PNG", icc_profile=profile), ANY_COLOUR)
    assert np.abs(expected.astype(int) - picture).max() > 20  # it does something
    np.testing.assert_array_equal(decode(file, ANY_COLOUR), expected)


def test_ten_bits_become_eight() -> None:
    deep = (luma(gradient(32, 48)) * 257).astype(np.uint16)
    file = heic(Image.fromarray(deep), matrix_coefficients=1)
    result = decode(file, ANY_GREY)[..., 0].astype(float)
    assert np.abs(result - luma(gradient(32, 48))).max() <= 1.5


def test_of_several_the_primary_one() -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    file = heic(frames[0], save_all=True, append_images=frames[1:], primary_index=1)
    np.testing.assert_array_equal(decode(file, ANY_COLOUR), 255 - RGB)


def test_a_large_one_is_refused_by_its_header() -> None:
    with pytest.raises(ImageTooLargeError, match="48×32"):
        decode(heic(RGB), ANY_COLOUR, max_pixels=1000)


@pytest.mark.filterwarnings("ignore::Warning:PIL")
def test_broken_ones() -> None:
    file = heic(RGB)
    for length in (12, 40, 200, len(file) // 2, len(file) - 10):
        with pytest.raises(BrokenImageError):
            decode(file[:length], ANY_COLOUR)
    generator = np.random.default_rng(1)
    for _ in range(200):
        mutated = bytearray(file)
        for place in generator.integers(12, len(file), 5):
            mutated[place] ^= 1 << int(generator.integers(8))
        try:
            result = decode(bytes(mutated), SMALL_COLOUR, max_pixels=200_000)
        except ImageError:
            continue
        assert result.shape == (9, 7, 3)


def test_avif_stays_pillow_s() -> None:
    file = save(Image.fromarray(RGB), "AVIF")
    assert not heif.is_heif(file)
    assert open_image(file).format == "AVIF"


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1"])
def test_brands(brand: bytes) -> None:
    assert heif.is_heif(b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1heic")
    assert not heif.is_heif(b"\0\0\0\x18ftypmif1" + bytes(4) + b"mif1avif")
    assert not heif.is_heif(b"\0\0\0\x18ftypmp42")
    assert not heif.is_heif(b"")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "AVAILABLE", False)
    with pytest.raises(NotAnImageError, match="the extra heic brings it"):
        decode(heic(RGB), ANY_COLOUR)


def test_it_is_loaded_with_the_first_picture_alone() -> None:
    assert importlib.util.find_spec("pillow_heif")
    code = "import sys, contract.pixels; print('pillow_heif' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
