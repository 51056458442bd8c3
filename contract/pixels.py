"""One way to make pixels: bytes of a file → uint8 array, the same in training and in serving.

Pixel rule 1, in this order:

1. decode with Pillow, first frame or page of an animation or a stack (of HEIC the primary image,
   by pillow-heif, which applies the container's orientation);
2. every mode to 8-bit grey or sRGB (`contract.colour`);
3. apply the orientation of EXIF, or of XMP where EXIF says none;
4. to the model's channels: 1 is grey (ITU-R 601-2 luma), 3 is RGB;
5. resize to the model's height and width with Pillow's antialiased bilinear filter, without
   keeping the aspect ratio, first along the axis that leaves fewer pixels (the width, if both leave
   as many), rounding in between; a model without a fixed size (null) gets the picture as large as
   it is.

Pixel rule 2 is for speed. It is rule 1 of a picture that is made smaller on the way, but never less
than twice as large as the model's input (`contract.shrink`): a large JPEG is decoded at a half, a
quarter or an eighth of its size, and of any other the means of small blocks are taken. A picture
for which neither applies has the pixels of rule 1.

A published rule number never changes its meaning; another way to make pixels is another number.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag

from contract import heif, shrink
from contract.colour import to_grey_or_srgb
from contract.errors import BrokenImageError, ImageTooLargeError, NotAnImageError

_BUILT_IN = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
#: The formats that are accepted. Left out: EPS (it runs Ghostscript), TGA (no signature), rarities.
FORMATS = (*_BUILT_IN, heif.FORMAT) if heif.AVAILABLE else _BUILT_IN

#: Suffixes of files in FORMATS, lower case: what makes a file in a folder a picture.
SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".dib"]
    + [".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", *heif.SUFFIXES]
)

#: The most pixels that a picture may have: Pillow's own limit, below which it stays silent.
MOST_PIXELS = 89_478_485

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Turns that leave the upright picture's rows, or columns, in the file's order: the resize's pass
# along them may come before the turn. Mirrored, the filter's weights may differ in the last bit.
_ROWS_KEEP_ORDER = frozenset([1, 4, 5, 8])
_COLUMNS_KEEP_ORDER = frozenset([1, 2, 5, 6])

_Number = TypeVar("_Number", int, float)
_Box = tuple[float, float, float, float]  # left, top, right, bottom

_Side = Annotated[int, Meta(ge=1, le=16384)]

#: The published rules.
PixelRule = Literal[1, 2]


@dataclass(frozen=True, kw_only=True)
class PixelSpec:
    """What a model wants to see: the part of the manifest that decides the pixels.

    Attributes:
        height: pixels, or None: as high as the picture is.
        width: pixels, or None: as wide as the picture is.
        channels: 1 is grey, 3 is RGB.
        pixel_rule: number of the rule in contract/pixels.py; 2 is for speed.
    """

    height: _Side | None
    width: _Side | None
    channels: Literal[1, 3]
    pixel_rule: PixelRule = 1

    def __post_init__(self) -> None:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width are both numbers or both null")

    @property
    def fingerprint(self) -> str:
        """Equal for two specs exactly when they make the same pixels of every picture."""
        height, width = self.height or "any", self.width or "any"
        return f"rule {self.pixel_rule}: {height}×{width}×{self.channels}"


def decode(
    source: bytes | Path, spec: PixelSpec, *, max_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """Makes a model's pixels of a picture.

    Args:
        source: the bytes of an image file, or its path.
        spec: what the model wants.
        max_pixels: refuse larger pictures, by the header, before anything is decoded.

    Returns:
        uint8 [height, width, channels].

    Raises:
        NotAnImageError, BrokenImageError, ImageTooLargeError: as their names say.
        OSError: the path can't be read.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    return to_pixels(open_image(data, max_pixels), spec)


def to_pixels(
    image: Image.Image, spec: PixelSpec, decoded: Callable[[], None] = lambda: None
) -> NDArray[np.uint8]:
    """Makes a model's pixels of an opened image: steps 2 to 5 of the rule.

    Rule 2 may load a JPEG smaller than its header says: `image.size` is another afterwards.

    Args:
        decoded: called when the file's own pixels are there, by who takes the time.

    Raises:
        BrokenImageError: the image's data is truncated or corrupt.
        MemoryError: as it says; the image may be sound.
    """
    size = None if spec.width is None or spec.height is None else (spec.width, spec.height)
    smaller = size if spec.pixel_rule == 2 else None
    try:
        drafted = None if smaller is None else shrink.draft(image, smaller)
        image.load()
        decoded()
        turn = orientation(image)
        block = 1 if smaller is None else shrink.block(image.size, _stored(smaller, turn))
        colours = to_grey_or_srgb(image, block)
        if spec.channels == 1:
            colours = _in_mode(colours, "L")
        if size is None:
            upright = _upright(colours, turn)
        else:
            width, height = drafted or image.size
            upright = _resized(colours, turn, size, (width / block, height / block))
        # Grey becomes colour only now: three equal channels resize alike.
        if spec.channels == 3:
            upright = _in_mode(upright, "RGB")
    except MemoryError:  # the machine's fault, not the picture's
        raise
    except Exception as error:  # any bytes may arrive, and each of Pillow's decoders has its own
        raise BrokenImageError(f"the image is truncated or corrupt: {_reason(error)}") from error
    pixels = np.asarray(upright)
    return pixels[:, :, np.newaxis] if spec.channels == 1 else pixels


def open_image(data: bytes, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """Opens the bytes of an image file: its header is read, nothing is decoded.

    Raises:
        NotAnImageError, BrokenImageError, ImageTooLargeError: as their names say.
    """
    formats = _formats(data)
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError as error:
        if heif.is_heif(data):
            raise BrokenImageError("the image's header is corrupt") from error
        what = "an empty file" if not data else "in no known image format"
        raise NotAnImageError(f"the data is {what}; known are {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(f"the image has more than {max_pixels:,} pixels") from error
    except MemoryError:
        raise
    except Exception as error:  # a header that its decoder chokes on
        raise BrokenImageError(f"the image's header is corrupt: {_reason(error)}") from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {width}×{height} = {width * height:,} pixels,"
            f" more than the {max_pixels:,} allowed"
        )
    _scale_transparency(image, data)
    return image


def _formats(data: bytes) -> tuple[str, ...]:
    if not heif.is_heif(data):
        return _BUILT_IN
    if not heif.AVAILABLE:
        raise NotAnImageError(
            "the data is a HEIC image, and there is no HEIC support here: the extra heic brings it"
        )
    heif.register()
    return (heif.FORMAT,)


def _scale_transparency(image: Image.Image, data: bytes) -> None:
    """Brings a PNG's transparent colour to the 8 bits of its pixels, which Pillow leaves out."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or colour is None:
        return
    depth = data[24]
    if image.mode == "L" and depth in (2, 4):
        image.info["transparency"] = colour * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(level >> 8 for level in colour)


def orientation(image: Image.Image) -> int:
    """Returns how the image is to be turned or mirrored: EXIF's number, 1 for as it is."""
    try:
        value = image.getexif().get(ExifTag.Orientation, 1)
    except Exception:  # EXIF that can't be read says nothing about the orientation
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSE else 1


def _upright(image: Image.Image, turn: int) -> Image.Image:
    method = _TRANSPOSE.get(turn)
    return image if method is None else image.transpose(method)


def _stored(size: tuple[_Number, _Number], turn: int) -> tuple[_Number, _Number]:
    """Returns what a size of the upright picture is in the picture as the file has it."""
    return (size[1], size[0]) if turn > 4 else size


def _resized(
    image: Image.Image, turn: int, size: tuple[int, int], extent: tuple[float, float]
) -> Image.Image:
    """Returns the image upright in this width and height.

    Args:
        extent: width and height that count, from the image's first pixel on.
    """
    (width, height), (across, down) = _stored(image.size, turn), _stored(extent, turn)
    left, right = (0, across) if turn in _ROWS_KEEP_ORDER else (width - across, width)
    top, bottom = (0, down) if turn in _COLUMNS_KEEP_ORDER else (height - down, height)
    # The axes one by one: which of them Pillow takes first depends on its version, and shows in the
    # rounding; the wrong one first can make a thin picture of 50 million pixels fill the memory.
    first: _Box
    second: _Box
    if size[0] * height <= width * size[1]:
        between, keep_order = (size[0], height), _ROWS_KEEP_ORDER
        first, second = (left, 0, right, height), (0, top, size[0], bottom)
    else:
        between, keep_order = (width, size[1]), _COLUMNS_KEEP_ORDER
        first, second = (0, top, width, bottom), (left, 0, right, size[1])
    # To turn 12 million pixels takes a third as long as to decode them, so it waits where it may.
    if turn in keep_order:
        box = (0, 0, *_stored(first[2:], turn))
        image = _upright(_in_size(image, _stored(between, turn), box), turn)
    else:
        image = _in_size(_upright(image, turn), between, first)
    return _in_size(image, size, second)


def _in_size(image: Image.Image, size: tuple[int, int], box: _Box) -> Image.Image:
    if image.size == size and box == (0, 0, *size):
        return image
    return image.resize(size, Image.Resampling.BILINEAR, box)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
