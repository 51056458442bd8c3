"""Pixel rule 2: smaller on the way, never below twice the input, and else as rule 1."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract import shrink
from contract.errors import BrokenImageError, ImageError
from contract.pixels import PixelSpec, decode, open_image, orientation, to_pixels
from tests.contract import pictures
from tests.contract.pictures import encode, gradient, pattern, save, segment

EVERY = pictures.every()
_SIDES = st.integers(1, 70)


def rule(number: int, height: int, width: int, channels: int = 3) -> PixelSpec:
    return PixelSpec(height=height, width=width, channels=channels, pixel_rule=number)  # type: ignore[arg-type]


def reduced(levels: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks, not rounded; the blocks at the edges may be smaller."""
    height, width = levels.shape[:2]
    down, across = np.arange(0, height, factor), np.arange(0, width, factor)
    sums = np.add.reduceat(np.add.reduceat(levels.astype(float), down), across, axis=1)
    counts = np.add.reduceat(np.ones(height), down)[:, np.newaxis]
    return sums / (counts * np.add.reduceat(np.ones(width), across))[..., np.newaxis]


QUALITY: dict[str, dict[str, int]] = {"PNG": {}, "JPEG": {"quality": 100}}

# The step for all formats.


@pytest.mark.parametrize(
    ("size", "wanted", "factor"),
    [
        ((40, 60), (10, 15), 2),
        ((40, 60), (10, 16), 1),
        ((41, 61), (10, 10), 2),
        ((90, 17), (3, 1), 8),
        ((17, 90), (3, 1), 2),
        ((83, 61), (1, 1), 30),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_means_of_blocks_then_rule_1(
    size: tuple[int, int], wanted: tuple[int, int], factor: int, channels: int
) -> None:
    levels = pattern(*size, channels)
    means = np.floor(reduced(levels, factor) + 0.5).astype(np.uint8)
    got = decode(encode(levels), rule(2, *wanted, channels))
    for channel in range(channels):
        box = (0, 0, size[1] / factor, size[0] / factor)  # the last blocks are cut
        expected = Image.fromarray(means[..., channel]).resize(
            wanted[::-1], Image.Resampling.BILINEAR, box
        )
        assert np.abs(got[..., channel].astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_nothing_is_shifted(turn: int, kind: str) -> None:
    # Not a multiple of any block: a slope through zero in the middle shows where the middle went.
    levels = np.rint(255 * np.linspace(0, 1, 167)[:, np.newaxis] * np.ones(135)).astype(np.uint8)
    for picture in (levels, levels.T):
        data = encode(picture, kind, exif=pictures.exif(turn), **QUALITY[kind])
        got = decode(data, rule(2, 16, 16, 1)).astype(float)
        assert np.abs(got - decode(data, rule(1, 16, 16, 1))).max() <= 1.5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(height=_SIDES, width=_SIDES, down=st.integers(1, 20), across=st.integers(1, 20))
def test_never_below_twice_the_input(height: int, width: int, down: int, across: int) -> None:
    size, wanted = np.array([width, height]), np.array([across, down])
    got = size // shrink.block((width, height), (across, down))
    if (size < 4 * wanted).any():
        assert (got == size).all()
    else:
        assert (got >= 2 * wanted).all()
        assert (got < 4 * wanted).any()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (23, 31), (40, 9), (None, None)])
def test_small_pictures_are_rule_1s(name: str, height: int | None, width: int | None) -> None:
    spec = PixelSpec(height=height, width=width, channels=3, pixel_rule=2)
    assert np.array_equal(
        decode(EVERY[name], spec), decode(EVERY[name], replace(spec, pixel_rule=1))
    )


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_turned_and_large(turn: int, kind: str) -> None:
    levels = gradient(160, 320)
    turned = encode(levels, kind, exif=pictures.exif(turn))
    wide = (20, 40) if turn < 5 else (40, 20)
    difference = decode(turned, rule(2, *wide)).astype(int) - decode(turned, rule(1, *wide))
    assert np.abs(difference).max() <= 4


def test_transparent_pixels_do_not_bleed() -> None:
    levels = np.full((40, 40, 4), 255, np.uint8)
    levels[:, ::2] = 0  # hidden black
    assert (decode(encode(levels), rule(2, 5, 5)) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_profile_is_applied_to_the_smaller_picture(kind: str) -> None:
    data = encode(gradient(160, 160), kind, icc_profile=pictures.wide_profile())
    plain = encode(gradient(160, 160), kind)
    got, first = decode(data, rule(2, 10, 10)), decode(data, rule(1, 10, 10))
    assert np.abs(got.astype(int) - first).max() <= 4
    assert np.abs(got.astype(int) - decode(plain, rule(2, 10, 10))).max() > 20


# JPEGs are decoded smaller.


def loaded(data: bytes, spec: PixelSpec) -> tuple[int, int]:
    """Width and height in which a file was decoded."""
    image = open_image(data)
    to_pixels(image, spec)
    return image.size


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    down=st.integers(1, 40),
    across=st.integers(1, 40),
    turn=st.integers(1, 8),
)
def test_scale(height: int, width: int, down: int, across: int, turn: int) -> None:
    data = save(Image.new("RGB", (width, height)), "JPEG", exif=pictures.exif(turn))
    twice = 2 * max(down, across)
    scale = max(s for s in (1, 2, 4, 8) if s == 1 or min(height // s, width // s) >= twice)
    size = loaded(data, rule(2, down, across))
    assert size == (-(-width // scale), -(-height // scale))
    assert scale == 1 or min(size) >= twice
    assert loaded(data, rule(1, down, across)) == (width, height)


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "restarts": {"restart_marker_blocks": 3},
    "worst quality": {"quality": 1},
}


@pytest.mark.parametrize("name", [*JPEGS, "grey", "cmyk", "mpo"])
def test_every_jpeg_is(name: str) -> None:
    image = Image.fromarray(gradient(200, 300))
    if name == "mpo":
        data = save(image, "MPO", save_all=True, append_images=[image])
    else:
        mode = {"grey": "L", "cmyk": "CMYK"}.get(name, "RGB")
        data = save(image.convert(mode), "JPEG", **JPEGS.get(name, {}))
    assert loaded(data, rule(2, 20, 30)) == (150, 100)
    for channels in (1, 3):
        got = decode(data, rule(2, 20, 30, channels)).astype(int)
        first = decode(data, rule(1, 20, 30, channels))
        assert np.abs(got - first).max() <= (30 if name == "worst quality" else 4)


def test_a_lossless_jpeg_is_decoded_as_it_is() -> None:
    levels = pattern(64, 48, 1)
    data = pictures.lossless_jpeg(levels[..., 0])
    assert np.array_equal(decode(data, PixelSpec(height=None, width=None, channels=1)), levels)
    assert loaded(data, rule(2, 5, 5)) == (48, 64)
    assert np.array_equal(decode(data, rule(2, 5, 5)), decode(encode(levels), rule(2, 5, 5)))


_BASELINE = segment(0xC0, bytes(6))
HEADERS = {
    "frame at once": (_BASELINE, True),
    "tables, comment, application's": (
        segment(0xE1, b"Exif" + _BASELINE) + segment(0xFE, b"") + segment(0xDB, b"1") + _BASELINE,
        True,
    ),
    "progressive": (segment(0xC2, bytes(6)), True),
    "arithmetic": (segment(0xC9, bytes(6)), True),
    "lossless": (segment(0xC3, bytes(6)) + _BASELINE, False),
    "lossless after a table": (segment(0xDB, _BASELINE) + segment(0xC3, bytes(6)), False),
    "hierarchical": (segment(0xC5, bytes(6)), False),
    "junk before": (b"\0" + _BASELINE, False),
    "filled": (b"\xff" + _BASELINE, False),
    "restart before": (b"\xff\xd0" + _BASELINE, False),
    "scan before": (segment(0xDA, b"") + _BASELINE, False),
    "length of nothing": (b"\xff\xe0\0\0" + _BASELINE, False),
    "cut": (b"\xff\xe0\0", False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize("name", HEADERS)
def test_which_headers_are_of_a_dct(name: str) -> None:
    head, expected = HEADERS[name]
    image = open_image(EVERY["jpeg"])
    image.fp = io.BytesIO(b"\xff\xd8" + head)  # type: ignore[attr-defined]
    image.fp.seek(1)  # type: ignore[attr-defined]
    assert shrink.can_be_scaled(image) is expected
    assert image.fp.tell() == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["png", "tiff jpeg", "webp"])
def test_only_jpegs_are(name: str) -> None:
    assert not shrink.can_be_scaled(open_image(EVERY[name]))
    assert not shrink.can_be_scaled(Image.new("RGB", (100, 100)))


@pytest.mark.parametrize("name", ["jpeg", "jpeg grey", "jpeg cmyk", "jpeg progressive, turned"])
def test_a_cut_picture_is_broken(name: str) -> None:
    with pytest.raises(BrokenImageError, match="truncated or corrupt"):
        decode(EVERY[name][: len(EVERY[name]) * 9 // 10], rule(2, 2, 2))


@pytest.mark.filterwarnings("ignore::Warning:PIL")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(EVERY)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    channels=st.sampled_from([1, 3]),
)
def test_flipped_bits(name: str, flips: list[tuple[float, int]], channels: int) -> None:
    data = bytearray(EVERY[name])
    for where, bits in flips:
        data[int(where * len(data))] ^= bits
    try:
        result = decode(bytes(data), rule(2, 2, 3, channels), max_pixels=200_000)
    except ImageError:
        assert flips
    else:
        assert (result.shape, result.dtype) == ((2, 3, channels), np.uint8)


def test_the_orientation_is_known_afterwards_too() -> None:
    image = open_image(encode(gradient(90, 60), "JPEG", exif=pictures.exif(6)))
    assert to_pixels(image, rule(2, 4, 4)).shape == (4, 4, 3)
    assert orientation(image) == 6


def test_the_fingerprint_tells_the_rules_apart() -> None:
    assert rule(1, 28, 28).fingerprint != rule(2, 28, 28).fingerprint


# Of lossless files alone, as the golden pictures of rule 1 are: a published rule never changes.
GOLDEN: dict[str, str] = {
    "rgb png": "08d61502900f65d2efb487bb03e6d6445cfcb15ed2613dcb75cb0e245f63b906",
    "rgb bmp": "08d61502900f65d2efb487bb03e6d6445cfcb15ed2613dcb75cb0e245f63b906",
    "grey png": "546d9722b6bf89540d03d9e405a6d2bbd7338719ce2f3576970ee3f86e81a328",
    "rgba png": "22ad773c50223bac2f1f59e14376ed68bd603dd8a60dc47ce315524300d5e21d",
    "grey alpha png": "0b16a333c127f9f222f57d1be2c564699735fcd6d0ba5f19f9acb54967c6d924",
    "palette png": "82e77656b71e1194157a341a80ddf5477cabed6693d38fff7bc9b7374c292646",
    "black and white png": "e3d12400112d80dfc3a1b315c4fe9332ea18088c53d7870d81441c67230b7a3c",
    "grey of 4 bits with tRNS": "ec453f791b4deb64d0eae22aaefbe634fd07727874dbdda4aadf25b59e156b8e",
    "rgb of 16 bits with tRNS": "bbc522daaac99d517ac7218099d5fb51ae141e2af0c7ef66994ca31f42a5a41e",
    "16 bits tiff": "84aadbeaf6c8c9eefb175022e012bde2879badac434aa809a6c6c39461f96543",
    "float tiff": "546d9722b6bf89540d03d9e405a6d2bbd7338719ce2f3576970ee3f86e81a328",
    "cmyk tiff": "e2ee929787bbcd8800b1315b3e6cb034f71d7d23eb073c830f73c6b413c2e68d",
    "wide gamut, turned, png": "f2c78abe4758a741deee61fcb694b27db50bbc2a8b4edf040653eca4ac1e046a",
}


@pytest.mark.parametrize("name", pictures.GOLDEN)
def test_golden(name: str) -> None:
    digest = hashlib.sha256()
    for channels in (1, 3):
        for size in ((7, 9), (10, 20), (1, 1), (28, 28)):
            digest.update(decode(pictures.GOLDEN[name](), rule(2, *size, channels)).tobytes())
    assert digest.hexdigest() == GOLDEN[name]
