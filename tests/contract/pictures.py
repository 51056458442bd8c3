"""Pictures for the tests: encoders written out by hand where Pillow can't write the case."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from contract.pixels import PixelSpec

ANY_GREY = PixelSpec(height=None, width=None, channels=1)
ANY_COLOUR = PixelSpec(height=None, width=None, channels=3)
SMALL_GREY = PixelSpec(height=9, width=7, channels=1)
SMALL_COLOUR = PixelSpec(height=9, width=7, channels=3)


def pattern(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Levels without chance and without symmetry, uint8 [height, width, channels]."""
    y, x, c = np.ogrid[:height, :width, :channels]
    return ((y * 37 + x * 11 + c * 83 + (x * y) % 7 * 5) % 256).astype(np.uint8)


def gradient(height: int, width: int) -> np.ndarray:
    """A smooth picture, which lossy codecs keep nearly as it is."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([255 * y, 255 * x, 255 * (1 - y)], axis=2).astype(np.uint8)


def luma(rgb: Any) -> np.ndarray:
    """ITU-R 601-2 luma of RGB levels."""
    return np.asarray(rgb, np.float64) @ [0.299, 0.587, 0.114]


def on_white(levels: Any, alpha: Any) -> np.ndarray:
    """Levels [..., c] composited on white by alpha [...], both 0..255, not rounded."""
    share = np.asarray(alpha, np.float64)[..., np.newaxis] / 255
    return np.asarray(levels, np.float64) * share + 255 * (1 - share)


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    # Copies, since saving leaves one format's encoder settings in an image for the next.
    if "append_images" in options:
        options["append_images"] = [one.copy() for one in options["append_images"]]
    image.copy().save(file, kind, **options)
    return file.getvalue()


def encode(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return save(Image.fromarray(plane), kind, **options)


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG of raw rows (each begins with its filter byte), extra chunks before the data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def lossless_jpeg(levels: np.ndarray) -> bytes:
    """A grey JPEG without loss (frame SOF3) of levels uint8 [height, width]."""
    height, width = levels.shape
    guess = np.empty(levels.shape, int)  # of each level, from its left neighbour
    guess[:, 1:] = levels[:, :-1]
    guess[1:, 0] = levels[:-1, 0]
    guess[0, 0] = 128
    bits = ""
    for difference in (levels - guess).ravel().tolist():
        size = abs(difference).bit_length()
        bits += f"{size:04b}"  # Huffman's codes are 0 to 8, of four bits each
        if size:
            bits += f"{difference if difference > 0 else difference + 2**size - 1:0{size}b}"
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    table = b"\0" + bytes([0, 0, 0, 9, *bytes(12)]) + bytes(range(9))
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    head = segment(0xC4, table) + segment(0xC3, frame) + segment(0xDA, b"\1\1\0\1\0\0")
    return b"\xff\xd8" + head + coded + b"\xff\xd9"


def segment(mark: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, mark]) + struct.pack(">H", len(content) + 2) + content


def exif(orientation: int, *, kind: int = 3) -> bytes:
    """An EXIF block, little-endian TIFF, with nothing but an orientation of a TIFF type."""
    value = struct.pack("<I", orientation & 0xFFFFFFFF)
    return (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI", 0x0112, kind, 1) + value + bytes(4)
    )


# ICC profiles, version 2, written out by hand.

#: Columns are the red, green and blue colorants of Adobe RGB (1998), XYZ adapted to D50.
WIDE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
WIDE_GAMMA = 563 / 256
D50 = np.array([0.9642, 1.0, 0.8249])
#: XYZ at D50 → linear sRGB (IEC 61966-2-1, Bradford).
TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def srgb_of_xyz(xyz: np.ndarray) -> np.ndarray:
    """sRGB levels 0..255, not rounded, of XYZ [..., 3] at D50."""
    linear = np.clip(xyz @ TO_SRGB.T, 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curve * 255


def srgb_of_lab(lab: np.ndarray) -> np.ndarray:
    """sRGB levels of CIE L*a*b* [..., 3] at D50."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    return srgb_of_xyz(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50)


def wide_profile(description: str = "wide") -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(WIDE_GAMMA * 256)) + bytes(2)
    tags = {name + b"XYZ": _xyz(WIDE[:, i]) for i, name in enumerate((b"r", b"g", b"b"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", description, tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return _profile(b"mntr", b"GRAY", b"XYZ ", "grey", {b"kTRC": curve})


def ink_profile(corners: np.ndarray) -> bytes:
    """A CMYK profile of the 16 corners' Lab, uint8 [2, 2, 2, 2, 3] with a and b offset by 128."""
    identity = struct.pack(">9i", *(np.eye(3) * 65536).astype(int).ravel())
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += ramp * 4 + corners.astype(np.uint8).tobytes() + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", "ink", {b"A2B0": table})


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(values * 65536).astype(int))


def _profile(
    device: bytes, space: bytes, between: bytes, description: str, tags: dict[bytes, bytes]
) -> bytes:
    text = description.encode() + b"\0"
    desc = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    tags = {b"desc": desc, b"wtpt": _xyz(D50), b"cprt": b"text" + bytes(4) + b"none\0"} | tags
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x20\0\0" + device + space
    header += between + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += _xyz(D50)[8:] + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def every() -> dict[str, bytes]:
    """A small picture for each format and for most ways that a decoder may go."""
    rgb, alpha = pattern(23, 31, 3), pattern(23, 31, 4)
    colour, see_through = Image.fromarray(rgb), Image.fromarray(alpha)
    grey = colour.convert("L")
    frames = [colour, colour.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    animation = {"save_all": True, "append_images": frames[1:], "duration": 50}
    deep = Image.fromarray((pattern(23, 31, 1)[..., 0].astype(np.uint16) << 8) + 77)
    turned = {"exif": exif(6)}
    wide = {"icc_profile": wide_profile()}
    return {
        "jpeg": save(colour, "JPEG"),
        "jpeg progressive, turned": save(colour, "JPEG", progressive=True, **turned),
        "jpeg grey": save(grey, "JPEG"),
        "jpeg cmyk": save(colour.convert("CMYK"), "JPEG"),
        "jpeg wide": save(colour, "JPEG", **wide),
        "mpo": save(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        "png": save(colour, "PNG"),
        "png 1": save(grey.convert("1"), "PNG"),
        "png palette": save(colour.quantize(16), "PNG", transparency=3),
        "png palette alpha": save(
            colour.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))
        ),
        "png alpha, wide, turned": save(see_through, "PNG", **wide, **turned),
        "png 16": save(deep, "PNG"),
        "png grey profile": save(grey, "PNG", icc_profile=grey_profile(1.8)),
        "apng": save(frames[0], "PNG", **animation),
        "webp": save(colour, "WEBP", lossless=True, **turned),
        "webp lossy": save(see_through, "WEBP", quality=60, **wide),
        "webp animation": save(frames[0], "WEBP", lossless=True, **animation),
        "avif": save(colour, "AVIF", speed=10, **turned),
        "gif": save(colour.quantize(32), "GIF"),
        "gif animation": save(frames[0].quantize(32), "GIF", **animation),
        "bmp": save(colour, "BMP"),
        "bmp palette": save(colour.quantize(16), "BMP"),
        "tiff": save(colour, "TIFF", **wide),
        "tiff lzw, turned": save(colour, "TIFF", compression="tiff_lzw", exif=exif(8)[6:]),
        "tiff jpeg": save(colour, "TIFF", compression="jpeg"),
        "tiff fax": save(grey.convert("1"), "TIFF", compression="group4"),
        "tiff float": save(Image.fromarray(rgb[..., 0].astype(np.float32) / 255), "TIFF"),
        "tiff cmyk": save(colour.convert("CMYK"), "TIFF"),
        "tiff lab": save(Image.frombytes("LAB", (31, 23), rgb.tobytes()), "TIFF"),
        "tiff pages": save(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "ppm": save(colour, "PPM"),
        "pgm 16": save(deep, "PPM"),
        "pfm": save(Image.fromarray(rgb[..., 0].astype(np.float32) / 255), "PPM"),
    }


#: Pictures of lossless files alone, whose pixels no codec may change.
GOLDEN: dict[str, Callable[[], bytes]] = {
    "rgb png": lambda: encode(pattern(61, 83, 3)),
    "rgb bmp": lambda: encode(pattern(61, 83, 3), "BMP"),
    "grey png": lambda: encode(pattern(61, 83, 1)),
    "rgba png": lambda: encode(pattern(61, 83, 4)),
    "grey alpha png": lambda: save(Image.fromarray(pattern(61, 83, 4)).convert("LA"), "PNG"),
    "palette png": lambda: save(_palette(), "PNG", transparency=bytes(range(0, 256, 8))),
    "black and white png": lambda: save(Image.fromarray(pattern(61, 83, 1)[..., 0] > 127), "PNG"),
    "grey of 4 bits with tRNS": lambda: png(4, 1, 4, 0, b"\0\x05\xaf", (b"tRNS", b"\0\5")),
    "rgb of 16 bits with tRNS": lambda: png(
        2, 1, 16, 2, b"\0\x12\x34\x12\x34\x12\x34\x34\0\x34\0\x34\0", (b"tRNS", b"\x12\x34" * 3)
    ),
    "16 bits tiff": lambda: save(
        Image.fromarray(pattern(61, 83, 1)[..., 0].astype(np.uint16) * 251), "TIFF"
    ),
    "float tiff": lambda: save(
        Image.fromarray(pattern(61, 83, 1)[..., 0].astype(np.float32) / 255), "TIFF"
    ),
    "cmyk tiff": lambda: save(
        Image.frombytes("CMYK", (83, 61), pattern(61, 83, 4).tobytes()), "TIFF"
    ),
    "wide gamut, turned, png": lambda: encode(
        pattern(61, 83, 4), icc_profile=wide_profile(), exif=exif(6)
    ),
}


def _palette() -> Image.Image:
    image = Image.fromarray(pattern(61, 83, 1)[..., 0] % 32)
    image.putpalette(pattern(32, 1, 3).tobytes())
    return image
