"""Pixel rule 1: what each Pillow mode becomes, by arithmetic that shares nothing with the code."""

import colorsys
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract import heif, pixels
from contract.pixels import decode, to_pixels
from tests.contract import pictures
from tests.contract.pictures import ANY_COLOUR, ANY_GREY, luma, on_white, pattern, png, save

RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)
RGB = pattern(8, 32, 3)
RGBA = np.dstack([RGB, RAMP])
PALETTE = [(10, 200, 30), (250, 0, 77), (3, 4, 5), (128, 64, 255)]
INDEX = np.indices((6, 8)).sum(axis=0).astype(np.uint8) % 4
SIXTEEN = np.array([[0, 1, 128, 129], [257, 32768, 65406, 65535]], np.uint16)


def check(source: bytes | Image.Image, expected: np.ndarray, within: float = 0.5) -> None:
    """Both colour and grey, `expected` being [H, W] grey or [H, W, 3] colour, not rounded."""
    expected = np.asarray(expected, np.float64)
    grey = expected if expected.ndim == 2 else luma(expected)
    colour = np.dstack([expected] * 3) if expected.ndim == 2 else expected
    made = decode if isinstance(source, bytes) else to_pixels
    for spec, wanted in ((ANY_COLOUR, colour), (ANY_GREY, grey[..., np.newaxis])):
        result = made(source, spec)
        assert result.dtype == np.uint8
        assert result.shape == wanted.shape
        # The luma is taken of levels that are rounded already, hence the second half.
        slack = within + (0.5 if spec is ANY_GREY and expected.ndim == 3 else 0) + 0.01
        assert np.abs(result - wanted).max() <= slack


def paletted(**options: object) -> bytes:
    image = Image.fromarray(INDEX)
    image.putpalette([level for colour in PALETTE for level in colour])
    return save(image, "PNG", **options)


def tiff(array: np.ndarray, mode: str | None = None) -> bytes:
    image = Image.fromarray(array)
    if mode is not None:
        image = Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())
    return save(image, "TIFF")


def sixteen(kind: str, order: str) -> bytes:
    """A 16-bit grey picture as TIFF of either byte order, as PNG or as PGM."""
    raw = SIXTEEN.astype(order + "u2").tobytes()
    if kind == "PNG":
        rows = SIXTEEN.astype(">u2")
        return png(4, 2, 16, 0, b"".join(b"\0" + row.tobytes() for row in rows))
    if kind == "PGM":
        return b"P5 4 2 65535\n" + SIXTEEN.astype(">u2").tobytes()
    tags = [(256, 4, 4), (257, 4, 2), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 4, 2), (279, 4, 16)]
    packed = b"".join(
        struct.pack(f"{order}HHI", tag, kind_, 1)
        + (struct.pack(f"{order}HH", value, 0) if kind_ == 3 else struct.pack(f"{order}I", value))
        for tag, kind_, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 24)
    return head + raw + struct.pack(f"{order}H", len(tags)) + packed + bytes(4)


OPAQUE: dict[str, tuple[Callable[[], bytes], Callable[[], np.ndarray]]] = {
    "1": (lambda: save(Image.fromarray(RAMP > 99), "PNG"), lambda: (RAMP > 99) * 255),
    "1 TIFF": (lambda: save(Image.fromarray(RAMP > 99), "TIFF"), lambda: (RAMP > 99) * 255),
    "1 BMP": (lambda: save(Image.fromarray(RAMP > 99), "BMP"), lambda: (RAMP > 99) * 255),
    "L PNG": (lambda: pictures.encode(RAMP), lambda: RAMP),
    "L TIFF": (lambda: pictures.encode(RAMP, "TIFF"), lambda: RAMP),
    "L BMP": (lambda: pictures.encode(RAMP, "BMP"), lambda: RAMP),
    "L GIF": (lambda: pictures.encode(RAMP, "GIF"), lambda: RAMP),
    "L of 2 bits": (lambda: png(4, 1, 2, 0, b"\0\x1b"), lambda: np.array([[0, 85, 170, 255]])),
    "L of 4 bits": (lambda: png(2, 1, 4, 0, b"\0\x5f"), lambda: np.array([[85, 255]])),
    "P": (paletted, lambda: np.array(PALETTE)[INDEX]),
    "P GIF": (
        lambda: save(Image.open(pictures.io.BytesIO(paletted())), "GIF"),
        lambda: np.array(PALETTE)[INDEX],
    ),
    "RGB PNG": (lambda: pictures.encode(RGB), lambda: RGB),
    "RGB BMP": (lambda: pictures.encode(RGB, "BMP"), lambda: RGB),
    "RGB TIFF": (lambda: pictures.encode(RGB, "TIFF"), lambda: RGB),
    "RGB PPM": (lambda: pictures.encode(RGB, "PPM"), lambda: RGB),
    "RGB WebP": (lambda: pictures.encode(RGB, "WEBP", lossless=True), lambda: RGB),
    "RGB of 16 bits is cut to 8": (
        lambda: png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0x12FF, 0, 0xFFFF, 0x80, 0x8000, 1)),
        lambda: np.array([[[0x12, 0, 255], [0, 0x80, 0]]]),
    ),
    "CMYK TIFF": (
        lambda: tiff(RGBA, "CMYK"),
        lambda: (255.0 - RGB) * (255.0 - RAMP[..., None]) / 255,
    ),
    "I;16 PNG": (lambda: sixteen("PNG", ">"), lambda: SIXTEEN / 257),
    "I;16 TIFF": (lambda: sixteen("TIFF", "<"), lambda: SIXTEEN / 257),
    "I;16B TIFF": (lambda: sixteen("TIFF", ">"), lambda: SIXTEEN / 257),
    "I PGM": (lambda: sixteen("PGM", ">"), lambda: SIXTEEN / 257),
    "I TIFF": (
        lambda: tiff(np.array([[-5, 0, 129, 70_000]], np.int32)),
        lambda: np.array([[0, 0, 129 / 257, 255]]),
    ),
    "F 0..1": (
        lambda: tiff(np.array([[0, 0.25, 0.5, 1]], np.float32)),
        lambda: np.array([[0, 63.75, 127.5, 255]]),
    ),
    "F 0..255": (
        lambda: tiff(np.array([[0, 0.6, 127.4, 255]], np.float32)),
        lambda: np.array([[0, 0.6, 127.4, 255]]),
    ),
    "F beyond": (
        lambda: tiff(np.array([[-3, 0.6, 1000, 9]], np.float32)),
        lambda: np.array([[0, 0.6, 255, 9]]),
    ),
    "F around 0..1": (
        lambda: tiff(np.array([[-1, 0.6, 1.01, 2]], np.float32)),
        lambda: np.array([[0, 153, 255, 255]]),
    ),
    "F over 2": (
        lambda: tiff(np.array([[-1, 0.6, 2.01]], np.float32)),
        lambda: np.array([[0, 0.6, 2.01]]),
    ),
    "F with one inf": (
        lambda: tiff(np.array([[np.inf, 0.5]], np.float32)),
        lambda: np.array([[255, 127.5]]),
    ),
    "F with NaN": (
        lambda: tiff(np.array([[np.nan, 0.5, 1]], np.float32)),
        lambda: np.array([[0, 127.5, 255]]),
    ),
    "F with inf": (
        lambda: tiff(np.array([[np.inf, -np.inf, 0.7, 5]], np.float32)),
        lambda: np.array([[255, 0, 0.7, 5]]),
    ),
    "F of nothing but NaN": (
        lambda: tiff(np.full((2, 3), np.nan, np.float32)),
        lambda: np.zeros((2, 3)),
    ),
    "F PFM": (
        lambda: b"Pf 2 1 -1\n" + struct.pack("<2f", 0.25, 1),
        lambda: np.array([[63.75, 255]]),
    ),
}


@pytest.mark.parametrize("case", OPAQUE)
def test_opaque_file(case: str) -> None:
    data, expected = (make() for make in OPAQUE[case])
    check(data, expected)


GREY_ALPHA = np.dstack([RAMP, RAMP[::-1, ::-1].T.reshape(RAMP.shape)])
TRANSPARENT: dict[str, tuple[Callable[[], bytes], Callable[[], np.ndarray]]] = {
    "LA": (
        lambda: save(Image.frombytes("LA", (32, 8), GREY_ALPHA.tobytes()), "PNG"),
        lambda: on_white(GREY_ALPHA[..., :1], GREY_ALPHA[..., 1])[..., 0],
    ),
    "LA TIFF": (
        lambda: save(Image.frombytes("LA", (32, 8), GREY_ALPHA.tobytes()), "TIFF"),
        lambda: on_white(GREY_ALPHA[..., :1], GREY_ALPHA[..., 1])[..., 0],
    ),
    "RGBA PNG": (lambda: pictures.encode(RGBA), lambda: on_white(RGB, RAMP)),
    "RGBA TIFF": (lambda: pictures.encode(RGBA, "TIFF"), lambda: on_white(RGB, RAMP)),
    "RGBA WebP": (
        lambda: pictures.encode(RGBA, "WEBP", lossless=True, exact=True),
        lambda: on_white(RGB, RAMP),
    ),
    "RGBA of 16 bits is cut to 8": (
        lambda: png(1, 1, 16, 6, b"\0" + struct.pack(">4H", 0x40FF, 0xFF00, 0x10, 0x80FF)),
        lambda: on_white([[[0x40, 0xFF, 0]]], [[0x80]]),
    ),
    "P, one index": (
        lambda: paletted(transparency=1),
        lambda: on_white(np.array(PALETTE)[INDEX], (INDEX != 1) * 255),
    ),
    "P, alpha of entries": (
        lambda: paletted(transparency=bytes([255, 0, 128])),
        lambda: on_white(np.array(PALETTE)[INDEX], np.array([255, 0, 128, 255])[INDEX]),
    ),
    "P GIF, one index": (
        lambda: save(Image.open(pictures.io.BytesIO(paletted())), "GIF", transparency=2),
        lambda: on_white(np.array(PALETTE)[INDEX], (INDEX != 2) * 255),
    ),
    "1, black is transparent": (
        lambda: png(8, 1, 1, 0, b"\0\x0f", (b"tRNS", b"\0\0")),
        lambda: np.full((1, 8), 255),
    ),
    "1, white is transparent": (
        lambda: png(8, 1, 1, 0, b"\0\x0f", (b"tRNS", b"\0\1")),
        lambda: np.array([[0] * 4 + [255] * 4]),
    ),
    "L, one level": (
        lambda: pictures.encode(RAMP, transparency=50),
        lambda: np.where(RAMP == 50, 255, RAMP),
    ),
    "L of 2 bits, one level": (
        lambda: png(4, 1, 2, 0, b"\0\x1b", (b"tRNS", b"\0\1")),
        lambda: np.array([[0, 255, 170, 255]]),
    ),
    "L of 4 bits, one level": (
        lambda: png(4, 1, 4, 0, b"\0\x05\xaf", (b"tRNS", b"\0\5")),
        lambda: np.array([[0, 255, 170, 255]]),
    ),
    "I;16, one level": (
        lambda: png(2, 1, 16, 0, b"\0\5\6\5\7", (b"tRNS", b"\5\6")),
        lambda: np.array([[255, 0x0507 / 257]]),
    ),
    "RGB of 16 bits, one colour": (
        lambda: png(
            2, 1, 16, 2, b"\0" + b"\x12\x34" * 3 + b"\x34\0" * 3, (b"tRNS", b"\x12\x34" * 3)
        ),
        lambda: np.array([[255, 0x34]]),
    ),
    "RGB, one colour": (
        lambda: pictures.encode(RGB, transparency=tuple(int(level) for level in RGB[2, 3])),
        lambda: np.where((RGB[2, 3] == RGB).all(axis=2, keepdims=True), 255, RGB),
    ),
}


@pytest.mark.parametrize("case", TRANSPARENT)
def test_transparent_file(case: str) -> None:
    data, expected = (make() for make in TRANSPARENT[case])
    check(data, expected)


def test_fully_opaque_and_fully_transparent_are_exact() -> None:
    opaque = np.dstack([RGB, np.full_like(RAMP, 255)])
    hidden = np.dstack([RGB, np.zeros_like(RAMP)])
    assert np.array_equal(decode(pictures.encode(opaque), ANY_COLOUR), RGB)
    assert (decode(pictures.encode(hidden), ANY_COLOUR) == 255).all()


def test_grey_stays_grey() -> None:
    for case in ("L PNG", "I;16 TIFF", "1 BMP", "LA", "L, one level"):
        data = (OPAQUE | TRANSPARENT)[case][0]()
        colour, grey = decode(data, ANY_COLOUR), decode(data, ANY_GREY)
        assert np.array_equal(colour, np.repeat(grey, 3, axis=2))


def test_grey_of_colour_is_luma_after_compositing() -> None:
    red = np.array([[[255, 0, 0, 0], [255, 0, 0, 255]]], np.uint8)
    assert decode(pictures.encode(red), ANY_GREY).ravel().tolist() == [255, 76]


# What no lossless file carries, or what a caller already opened.


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_premultiplied(mode: str) -> None:
    alpha = np.full((2, 2), 128, np.uint8)
    plain = Image.fromarray(np.dstack([np.full((2, 2, 3), 200, np.uint8), alpha]))
    image = (plain if mode == "RGBa" else plain.convert("LA")).convert(mode)
    check(image, np.full((2, 2), 200 * 128 / 255 + 127), within=2)


def test_padded() -> None:
    check(Image.frombytes("RGBX", (32, 8), RGBA.tobytes()), RGB)


@pytest.mark.parametrize("kind", ["TIFF", None])
def test_palette_with_alpha_channel(kind: str | None) -> None:
    image = Image.open(pictures.io.BytesIO(paletted())).convert("PA")
    image.putalpha(Image.fromarray((INDEX * 60).astype(np.uint8)))
    assert image.mode == "PA"
    expected = on_white(np.array(PALETTE)[INDEX], INDEX * 60)
    check(image if kind is None else save(image, kind), expected, within=1)


def test_palette_whose_colours_carry_alpha() -> None:
    image = Image.fromarray(INDEX)
    image.putpalette([200, 0, 0, 255, 0, 200, 0, 128, 0, 0, 200, 0, 9, 9, 9, 255], "RGBA")
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [9, 9, 9]])
    check(image, on_white(colours[INDEX], np.array([255, 128, 0, 255])[INDEX]), within=1)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_sixteen_bits_in_any_order(mode: str) -> None:
    order = ">" if mode.endswith("B") else "<"
    image = Image.frombytes(mode, (4, 2), SIXTEEN.astype(order + "u2").tobytes())
    check(image, SIXTEEN / 257)


def test_ycbcr() -> None:  # no file: whether Pillow reads one depends on its version
    image = Image.frombytes("YCbCr", (32, 8), RGB.tobytes())
    y, cb, cr = np.moveaxis(RGB.astype(np.float64), 2, 0)
    cb, cr = cb - 128, cr - 128
    rgb = np.dstack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    check(image, np.clip(rgb, 0, 255), within=1.5)


def test_hsv() -> None:
    share = RGB.reshape(-1, 3) / 255
    expected = np.array([colorsys.hsv_to_rgb(*one) for one in share]).reshape(RGB.shape) * 255
    check(Image.frombytes("HSV", (32, 8), RGB.tobytes()), expected, within=3)


@pytest.mark.parametrize("as_file", [True, False])
def test_lab(as_file: bool) -> None:
    lab = np.array([[[0, 0, 0], [50, 0, 0], [100, 0, 0], [60, 30, 20], [70, -20, 10]]])
    stored = np.dstack([np.rint(lab[..., 0] * 2.55), lab[..., 1:] % 256]).astype(np.uint8)
    image = Image.frombytes("LAB", (5, 1), stored.tobytes())
    check(save(image, "TIFF") if as_file else image, pictures.srgb_of_lab(lab), within=3)


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg(adobe: bool) -> None:
    inks = (200, 30, 90, 40)
    data = save(Image.new("CMYK", (16, 16), inks), "JPEG", quality=100, subsampling=0)
    marker = data.index(b"\xff\xee\0\x0eAdobe")
    if not adobe:  # Pillow takes inverted levels with and without the marker
        data = data[:marker] + data[marker + 16 :]
    expected = [(255 - ink) * (255 - inks[3]) / 255 for ink in inks[:3]]
    check(data, np.full((16, 16, 3), expected), within=2)


# The first picture of several.


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4", "speed": 10}),
        ("MPO", {"quality": 95, "subsampling": 0}),
    ],
)
def test_first_of_several(kind: str, options: dict[str, object]) -> None:
    levels = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
    frames = [Image.new("RGB", (24, 16), level) for level in levels]
    data = save(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(pictures.io.BytesIO(data)), "n_frames", 1) == 3
    check(data, np.full((16, 24, 3), levels[0]), within=4 if kind in ("MPO", "AVIF") else 0.5)


def test_apng_whose_still_is_no_frame() -> None:
    still, *frames = (Image.new("L", (5, 4), level) for level in (10, 100, 200))
    data = save(still, "PNG", save_all=True, append_images=frames, default_image=True)
    check(data, np.full((4, 5), 10))


# Sources.


def test_path_and_bytes_are_one(tmp_path: Path) -> None:
    data = pictures.encode(RGB)
    (tmp_path / "no suffix").write_bytes(data)
    assert np.array_equal(decode(tmp_path / "no suffix", ANY_COLOUR), decode(data, ANY_COLOUR))


MODES = [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBX",
    "RGBA",
    "RGBa",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I;16",
    "I;16L",
    "I;16B",
    "I;16N",
    "I",
    "F",
]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_gives_pixels(mode: str) -> None:
    for spec in (ANY_COLOUR, ANY_GREY):
        result = to_pixels(Image.new(mode, (3, 2)), spec)
        assert (result.shape, result.dtype) == ((2, 3, spec.channels), np.uint8)


def test_suffixes_name_the_formats() -> None:
    if heif.AVAILABLE:
        heif.register()
    registered = {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in pixels.FORMATS or kind == "DIB"
    }
    optional = set() if heif.AVAILABLE else set(heif.SUFFIXES)
    assert registered >= pixels.SUFFIXES - optional
    assert not {suffix for suffix in pixels.SUFFIXES if suffix != suffix.lower()}
    assert registered - pixels.SUFFIXES <= {".avifs", ".heics", ".heifs"}
