"""Pixel rule 1: the EXIF orientation, applied once, in every format that carries it."""

import struct

import numpy as np
import pytest
from PIL import Image

from contract.pixels import PixelSpec, decode
from tests.contract import pictures
from tests.contract.pictures import ANY_COLOUR, ANY_GREY, exif, save

HEIGHT, WIDTH = 24, 40
# Four corners of different colours: every orientation shows, and lossy codecs keep it.
UPRIGHT = np.empty((HEIGHT, WIDTH, 3), np.uint8)
UPRIGHT[: HEIGHT // 2, : WIDTH // 2] = 240, 20, 20
UPRIGHT[: HEIGHT // 2, WIDTH // 2 :] = 20, 240, 20
UPRIGHT[HEIGHT // 2 :, : WIDTH // 2] = 20, 20, 240
UPRIGHT[HEIGHT // 2 :, WIDTH // 2 :] = 240, 240, 20

# What is stored → what is seen, after the table of the EXIF standard: where row 0 and column 0 are.
SEEN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}
FORMATS = {
    "JPEG": ("JPEG", {"quality": 95, "subsampling": 0}),
    "JPEG progressive": ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
    "MPO": ("MPO", {"quality": 95, "subsampling": 0}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"lossless": True}),
    "TIFF": ("TIFF", {}),
    "TIFF LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("AVIF", {"quality": 95, "subsampling": "4:4:4", "speed": 10}),
}


def stored(name: str, block: bytes) -> bytes:
    kind, options = FORMATS[name]
    # For TIFF, the writer wants the block without its JPEG prefix.
    return save(
        Image.fromarray(UPRIGHT), kind, exif=block[6:] if kind == "TIFF" else block, **options
    )


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("name", FORMATS)
def test_orientation_is_applied_once(name: str, orientation: int) -> None:
    seen = SEEN[orientation](UPRIGHT).astype(int)
    result = decode(stored(name, exif(orientation)), ANY_COLOUR)
    assert result.shape == seen.shape
    slack = 12 if name.split()[0] in ("JPEG", "MPO", "AVIF") else 0
    assert np.abs(result - seen).max() <= slack
    assert decode(stored(name, exif(orientation)), ANY_GREY).shape == (*seen.shape[:2], 1)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_resize_comes_after_it(orientation: int) -> None:
    spec = PixelSpec(height=WIDTH // 2, width=HEIGHT // 2, channels=3)
    upright = Image.fromarray(np.ascontiguousarray(SEEN[orientation](UPRIGHT)))
    expected = decode(save(upright, "PNG"), spec)
    assert np.array_equal(decode(stored("PNG", exif(orientation)), spec), expected)


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("size", [(7, 9), (24, 5), (40, 24), (24, 40), (1, 1), (60, 13), (90, 90)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_it_counts_before_the_resize(orientation: int, size: tuple[int, int], mode: str) -> None:
    # To the last bit, though some turns are made when the picture is smaller.
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 24, 3), np.uint8))
    picture = noise.convert(mode)
    spec = PixelSpec(height=size[0], width=size[1], channels=len(mode))  # type: ignore[arg-type]
    upright = Image.fromarray(np.ascontiguousarray(SEEN[orientation](np.asarray(picture))))
    turned = save(picture, "PNG", exif=exif(orientation))
    assert np.array_equal(decode(turned, spec), decode(save(upright, "PNG"), spec))


NONSENSE = {
    "0": exif(0),
    "9": exif(9),
    "65535": exif(65535),
    "text": exif(ord("6"), kind=2),
    "a byte": exif(6, kind=1),
    "a long is an orientation": exif(6, kind=4),
    "of an unknown type": exif(6, kind=99),
    "empty": b"Exif\0\0",
    "no TIFF": b"Exif\0\0nonsense" * 3,
    "cut": exif(6)[:-8],
    "offset beyond the end": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "many entries": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHI", 0x0112, 3, 1) * 3,
    "points at itself": b"Exif\0\0II*\0\x08\0\0\0\x01\0"
    + struct.pack("<HHII", 0x8769, 4, 1, 8)
    + b"\x08\0\0\0",
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow says so; the picture is fine
@pytest.mark.filterwarnings("ignore:Possibly corrupt EXIF data")
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_no_orientation(name: str, case: str) -> None:
    expected = UPRIGHT if "is an orientation" not in case else SEEN[6](UPRIGHT)
    result = decode(stored(name, NONSENSE[case]), ANY_COLOUR)
    assert result.shape == expected.shape
    assert np.abs(result - expected.astype(int)).max() <= (12 if name == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_nonsense_in_tiff(orientation: int) -> None:
    assert np.array_equal(decode(stored("TIFF", exif(orientation)), ANY_COLOUR), UPRIGHT)


def test_png_exif_after_the_pixels() -> None:
    plain = save(Image.fromarray(UPRIGHT), "PNG")
    end = plain.index(b"IEND") - 4
    late = plain[:end] + pictures.chunk(b"eXIf", exif(6)[6:]) + plain[end:]
    assert np.array_equal(decode(late, ANY_COLOUR), SEEN[6](UPRIGHT))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_xmp_speaks_where_exif_is_silent(name: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    kind, options = FORMATS[name]
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        data = save(Image.fromarray(UPRIGHT), kind, pnginfo=info)
    elif kind == "TIFF":
        data = save(Image.fromarray(UPRIGHT), kind, tiffinfo={700: xmp})
    else:
        data = save(Image.fromarray(UPRIGHT), kind, xmp=xmp, **options)
    assert decode(data, ANY_COLOUR).shape == (WIDTH, HEIGHT, 3)


def test_alpha_and_profile_turn_along() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[: HEIGHT // 2] = 255
    image = Image.fromarray(np.dstack([UPRIGHT, alpha]))
    options = {"icc_profile": pictures.wide_profile()}
    upright = decode(save(image, "PNG", **options), ANY_COLOUR)
    turned = decode(save(image, "PNG", exif=exif(6), **options), ANY_COLOUR)
    assert np.array_equal(turned, SEEN[6](upright))
