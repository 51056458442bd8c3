"""What is decoded in the event loop's thread: plain pictures, and none that was made to be slow."""

import io
import random
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from server.light import are_light_pixels, is_light

SIDE = 640
PICTURE = Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB")


def saved(kind: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def with_chunks(*chunks: bytes) -> bytes:
    png = saved("PNG", PICTURE.resize((8, 8)))
    return png[:33] + b"".join(chunks) + png[33:]  # behind IHDR


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(*segments: bytes) -> bytes:
    jpeg = saved("JPEG")
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_scans(count: int) -> bytes:
    jpeg = saved("JPEG", PICTURE.convert("L"))
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:-2] + jpeg[scan : scan + 12] * count + jpeg[-2:]


LIGHT = {
    "JPEG": saved("JPEG"),
    "grey JPEG": saved("JPEG", PICTURE.convert("L")),
    "CMYK JPEG": saved("JPEG", PICTURE.convert("CMYK")),
    "JPEG with sRGB's profile": saved(
        "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ),
    "JPEG with EXIF": with_segments(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")),
    "PNG": saved("PNG"),
    "PNG with a palette": saved("PNG", PICTURE.quantize(16), transparency=3),
}
NOT = {
    "large JPEG": saved("JPEG", PICTURE.resize((1000, 1000))),
    "progressive JPEG": saved("JPEG", progressive=True),
    "JPEG of many segments": with_segments(*[segment(0xE5, b"")] * 60),
    "JPEG of much beside the picture": with_segments(segment(0xE2, b"x" * 20_000)),
    "JPEG of many scans": with_scans(40),
    "JPEG with junk": saved("JPEG")[:2] + b"\0" + saved("JPEG")[2:],
    "large PNG": saved("PNG", PICTURE.resize((1000, 1000))),
    "interlaced PNG": with_chunks().replace(b"\x08\x02\0\0\0", b"\x08\x02\0\0\x01"),
    "PNG of compressed text": with_chunks(
        *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**6)))] * 2
    ),
    "PNG with a profile": saved("PNG", icc_profile=b"x" * 200),
    "PNG of many chunks": with_chunks(*[chunk(b"tEXt", b"a\0")] * 70),
    "more bytes": saved("PNG") + bytes(300_000),
    "WebP": saved("WEBP"),
    "AVIF": saved("AVIF", PICTURE.resize((32, 32))),
    "GIF": saved("GIF"),
    "TIFF": saved("TIFF", PICTURE.resize((8, 8))),
    "BMP": saved("BMP", PICTURE.resize((8, 8))),
    "PPM": saved("PPM", PICTURE.resize((8, 8))),
    "text": b"not an image",
    "nothing": b"",
}


@pytest.mark.parametrize("file", LIGHT.values(), ids=LIGHT)
def test_plain_pictures_are_light(file: bytes) -> None:
    assert is_light(file)
    Image.open(io.BytesIO(file)).load()  # the test's own picture is sound


@pytest.mark.parametrize("file", NOT.values(), ids=NOT)
def test_others_are_not(file: bytes) -> None:
    assert not is_light(file)


@pytest.mark.parametrize("file", [LIGHT["JPEG"], LIGHT["PNG"]], ids=["JPEG", "PNG"])
def test_any_bytes_are_told(file: bytes) -> None:
    chance = random.Random(4)
    for _ in range(3000):
        broken = bytearray(file[: chance.randrange(len(file))])
        for _ in range(chance.randrange(4)):
            if broken:
                broken[chance.randrange(len(broken))] = chance.randrange(256)
        is_light(bytes(broken))


def test_pixels() -> None:
    assert are_light_pixels(180, 180)
    assert are_light_pixels(None, None)
    assert not are_light_pixels(4096, 4096)
    assert not are_light_pixels(180, 180, 32)
