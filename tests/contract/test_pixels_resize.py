"""Pixel rule 1: the resize, against a filter written out in NumPy, and golden pictures."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from contract.pixels import PixelSpec, decode, to_pixels
from tests.contract import pictures
from tests.contract.pictures import ANY_COLOUR, ANY_GREY, encode, luma, pattern, save


def weights(source: int, target: int) -> np.ndarray:
    """The triangle filter [target, source], widened by the scale when it shrinks."""
    scale = source / target
    reach = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centre[:, np.newaxis]) / reach
    triangle = np.clip(1 - distance, 0, None)
    return triangle / triangle.sum(axis=1, keepdims=True)


def resized(levels: np.ndarray, height: int, width: int) -> np.ndarray:
    down, across = weights(levels.shape[0], height), weights(levels.shape[1], width)
    return np.einsum("ij,jkc,lk->ilc", down, levels.astype(np.float64), across, optimize=True)


SIZES = [(28, 28), (7, 9), (1, 1), (40, 60), (41, 30), (120, 13), (3, 200), (224, 224)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_antialiased_bilinear(size: tuple[int, int], channels: int) -> None:
    levels = pattern(40, 60, channels)
    spec = PixelSpec(height=size[0], width=size[1], channels=channels)
    result = decode(encode(levels), spec)
    assert result.shape == (*size, channels)
    assert result.dtype == np.uint8
    assert np.abs(result - resized(levels, *size)).max() <= 1


def test_grey_is_taken_before_the_resize() -> None:
    levels = pattern(40, 60, 3)
    expected = resized(np.rint(luma(levels))[..., np.newaxis], 11, 13)
    result = decode(encode(levels), PixelSpec(height=11, width=13, channels=1))
    assert np.abs(result - expected).max() <= 1


def test_transparent_pixels_do_not_bleed() -> None:
    levels = np.full((20, 20, 4), 255, np.uint8)
    levels[:, ::2] = 0  # hidden black
    assert (decode(encode(levels), PixelSpec(height=7, width=7, channels=3)) == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_same_size_is_untouched(channels: int) -> None:
    levels = pattern(17, 29, channels)
    spec = PixelSpec(height=17, width=29, channels=channels)
    assert np.array_equal(decode(encode(levels), spec), levels)


def test_axes_are_taken_in_the_rules_order() -> None:
    levels = pattern(90, 50, 3)
    image = Image.fromarray(levels)
    bilinear = Image.Resampling.BILINEAR
    for height, width, down_first in [(30, 40, True), (80, 20, False), (90, 10, False)]:
        between = (50, height) if down_first else (width, 90)
        expected = np.asarray(image.resize(between, bilinear).resize((width, height), bilinear))
        spec = PixelSpec(height=height, width=width, channels=3)
        assert np.array_equal(decode(encode(levels), spec), expected)


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1)])
def test_a_thin_picture_is_not_blown_up_in_between(size: tuple[int, int]) -> None:
    # The wrong axis first would need 16384 levels for each of its 3 million.
    spec = PixelSpec(height=16384, width=2, channels=1) if size[0] > 1 else None
    spec = spec or PixelSpec(height=2, width=16384, channels=1)
    assert (to_pixels(Image.new("L", size, 77), spec) == 77).all()


def test_null_size_is_the_pictures() -> None:
    assert np.array_equal(decode(encode(pattern(5, 900, 3)), ANY_COLOUR), pattern(5, 900, 3))
    turned = save(Image.fromarray(pattern(5, 900, 3)), "PNG", exif=pictures.exif(6))
    assert decode(turned, ANY_GREY).shape == (900, 5, 1)


@pytest.mark.parametrize(("height", "width"), [(None, 3), (3, None)])
def test_one_null_side_is_refused(height: int | None, width: int | None) -> None:
    with pytest.raises(ValueError, match="both"):
        PixelSpec(height=height, width=width, channels=3)


def test_fingerprints_differ_with_the_pixels() -> None:
    specs = [
        PixelSpec(height=height, width=width, channels=channels)
        for height, width in ((None, None), (1, 11), (11, 1), (28, 28))
        for channels in (1, 3)
    ]
    assert len({spec.fingerprint for spec in specs}) == len(specs)
    assert specs[-1].fingerprint == PixelSpec(height=28, width=28, channels=3).fingerprint


@pytest.mark.parametrize("channels", [1, 3])
def test_fit_leaves_the_image_alone(channels: int) -> None:
    image = Image.fromarray(pattern(8, 8, 4))
    before = image.tobytes()
    to_pixels(image, PixelSpec(height=4, width=4, channels=channels))
    assert (image.tobytes(), image.size, image.mode) == (before, (8, 8), "RGBA")


# A published rule never changes its meaning. These hashes are of lossless files alone, so no codec
# may change them. One that differs is a new rule number, not a new hash.
GOLDEN: dict[str, str] = {
    "rgb png": "d4aa5294c332bcf046dcb0720f28cd9f43270dbeffad740bed5eac3dc12bcdc1",
    "rgb bmp": "d4aa5294c332bcf046dcb0720f28cd9f43270dbeffad740bed5eac3dc12bcdc1",
    "grey png": "45457e9bb2cedc025a8f5d314a9841c9ba7a1330b18c221d68e9a326a801d115",
    "rgba png": "33aed0b48d36d911b0682f6837b050a2fb7cbe984e144ac829c375ed74a58f72",
    "grey alpha png": "66814616e0855fe8d26094fd64622c000f0e0092d42b716e01532616c0145997",
    "palette png": "7f4ff04964a3a60e0c3c7afaf251a490e096dcb4910696c075de155a8a16311b",
    "black and white png": "4cf44a0b25923801595803b1e16818a29839400e2785e1535e9281fe7a94cd7e",
    "grey of 4 bits with tRNS": "fbe607688e9af9442cc7281b2ef6d7191bbc2872b6199f10431b9e763a6f033a",
    "rgb of 16 bits with tRNS": "16680a78eb048e9efa1ac48f51464af746f36663a061f1d82bab61df136041d7",
    "16 bits tiff": "90c0905d08dc589f255fc307289ab0ead1a31ab4072d869e24edd9e67ffa297a",
    "float tiff": "45457e9bb2cedc025a8f5d314a9841c9ba7a1330b18c221d68e9a326a801d115",
    "cmyk tiff": "f119d3f3fb79de98bea2730c9fb319805fe96ceeed9085978b7be38492f8f546",
    "wide gamut, turned, png": "3b42190e163d5672fbaf9511b48293674b6cd323234dd226519251ae06748382",
}


@pytest.mark.parametrize("name", pictures.GOLDEN)
def test_golden(name: str) -> None:
    data = pictures.GOLDEN[name]()
    digest = hashlib.sha256()
    for channels in (1, 3):
        for height, width in ((None, None), (28, 28), (64, 96)):
            pixels = decode(data, PixelSpec(height=height, width=width, channels=channels))
            digest.update(repr(pixels.shape).encode() + pixels.tobytes())
    assert digest.hexdigest() == GOLDEN[name]
