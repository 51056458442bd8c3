"""Pixel rule 1: ICC profiles, against colorimetry written out in NumPy."""

import numpy as np
import pytest
from PIL import Image

from contract.pixels import decode
from tests.contract import pictures
from tests.contract.pictures import ANY_COLOUR, ANY_GREY, luma, on_white, pattern, save

RGB = np.moveaxis(np.indices((6, 6, 6)), 0, -1).reshape(12, 18, 3).astype(np.uint8) * 51
# Without the darkest: there the colour library's table of a gamma of 1 is too coarse.
GREY = np.arange(256, dtype=np.uint8).clip(20).reshape(16, 16)


def of_wide(levels: np.ndarray) -> np.ndarray:
    linear = (levels / 255) ** pictures.WIDE_GAMMA
    return pictures.srgb_of_xyz(linear @ pictures.WIDE.T)


def of_grey(levels: np.ndarray, gamma: float) -> np.ndarray:
    luminance = (levels / 255.0) ** (round(gamma * 256) / 256)
    return pictures.srgb_of_xyz(luminance[..., np.newaxis] * pictures.D50)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_wide_gamut_moves_colours(kind: str, options: dict[str, object]) -> None:
    data = pictures.encode(RGB, kind, icc_profile=pictures.wide_profile(), **options)
    expected = of_wide(RGB)
    assert np.abs(expected - RGB).max() > 30
    assert np.abs(decode(data, ANY_COLOUR) - expected).max() <= 2
    assert np.abs(decode(data, ANY_GREY)[..., 0] - luma(expected)).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_wide_gamut_in_lossy_formats(kind: str) -> None:
    lossy = {"JPEG": {"subsampling": 0}, "AVIF": {"subsampling": "4:4:4", "speed": 10}}[kind]
    image = Image.new("RGB", (16, 16), (60, 200, 90))
    data = save(image, kind, quality=97, icc_profile=pictures.wide_profile(), **lossy)
    assert np.abs(decode(data, ANY_COLOUR) - of_wide(np.array([60, 200, 90]))).max() <= 6


@pytest.mark.parametrize(
    "profile", [pictures.srgb_profile(), pictures.wide_profile("sRGB IEC61966-2.1")]
)
def test_srgb_changes_nothing(profile: bytes) -> None:
    assert np.array_equal(decode(pictures.encode(RGB, icc_profile=profile), ANY_COLOUR), RGB)


WIDE = pictures.wide_profile()
BROKEN = {
    "text": b"this is no profile",
    "one byte": b"\0",
    "header alone": WIDE[:128],
    "cut": WIDE[: len(WIDE) // 2],
    "no tags": WIDE[:128] + bytes(4),
    "tags point beyond": WIDE[:140] + b"\x7f\xff\xff\xff" * 20 + WIDE[220:],
    "no curves": WIDE.replace(b"TRC", b"XXX"),
    "unknown space": WIDE.replace(b"RGB ", b"ZZZZ"),
    "unknown class": WIDE.replace(b"mntr", b"zzzz"),
    "of grey": pictures.grey_profile(1.8),
    "of inks": pictures.ink_profile(np.zeros((2, 2, 2, 2, 3))),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_or_foreign_profile_is_ignored(case: str) -> None:
    data = pictures.encode(RGB, icc_profile=BROKEN[case])
    assert np.array_equal(decode(data, ANY_COLOUR), RGB)


def test_colour_profile_of_a_grey_picture_is_ignored() -> None:
    data = pictures.encode(GREY, icc_profile=WIDE)
    assert np.array_equal(decode(data, ANY_GREY)[..., 0], GREY)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_grey_profile(gamma: float) -> None:
    data = pictures.encode(GREY, icc_profile=pictures.grey_profile(gamma))
    colour, grey = decode(data, ANY_COLOUR), decode(data, ANY_GREY)
    assert np.abs(colour - of_grey(GREY, gamma)).max() <= 2
    assert np.ptp(colour.astype(int), axis=2).max() <= 1
    assert np.abs(grey[..., 0] - of_grey(GREY, gamma)[..., 0]).max() <= 2


def test_grey_profile_of_sixteen_bits_and_of_alpha() -> None:
    profile = pictures.grey_profile(1.0)
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    data = save(deep, "PNG", icc_profile=profile)
    assert np.abs(decode(data, ANY_COLOUR) - of_grey(GREY, 1.0)).max() <= 2
    alpha = GREY[::-1]
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(np.ascontiguousarray(alpha))])
    data = save(image, "PNG", icc_profile=profile)
    assert np.abs(decode(data, ANY_COLOUR) - on_white(of_grey(GREY, 1.0), alpha)).max() <= 3


def test_alpha_is_composited_after_the_profile() -> None:
    alpha = np.arange(12 * 18).reshape(12, 18).astype(np.uint8)
    data = pictures.encode(np.dstack([RGB, alpha]), icc_profile=WIDE)
    assert np.abs(decode(data, ANY_COLOUR) - on_white(of_wide(RGB), alpha)).max() <= 3


def test_palette() -> None:
    image = Image.fromarray(RGB).quantize(200)
    plain = np.asarray(image.convert("RGB"))
    data = save(image, "PNG", icc_profile=WIDE)
    assert np.abs(decode(data, ANY_COLOUR) - of_wide(plain)).max() <= 2


def test_inks() -> None:
    # Paper is white and all inks are black, so that neither is adapted.
    lightness = np.linspace(255, 90, 16).round()
    lightness[15] = 0
    hues = pattern(4, 4, 1).ravel().astype(int) % 20 + 118
    hues[[0, 15]] = 128
    corners = np.stack([lightness, hues, 256 - hues], axis=1).reshape(2, 2, 2, 2, 3)
    # Only corners: what lies between them is the colour library's interpolation.
    inks = np.indices((2, 2, 2, 2)).reshape(4, 16).T.reshape(2, 8, 4).astype(np.uint8)
    image = Image.frombytes("CMYK", (8, 2), (inks * 255).astype(np.uint8).tobytes())
    lab = corners.reshape(2, 8, 3) * [100 / 255, 1, 1] - [0, 128, 128]
    data = save(image, "TIFF", icc_profile=pictures.ink_profile(corners))
    assert np.abs(decode(data, ANY_COLOUR) - pictures.srgb_of_lab(lab)).max() <= 2
