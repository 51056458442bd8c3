"""Which work is light: done within some milliseconds, whatever a caller has sent.

Only such is done in the event loop's thread, where it keeps everybody waiting. How many bytes a
picture has, or how many pixels it says it has, does not tell: a few kilobytes of a progressive
JPEG's empty scans, of compressed text in a PNG, or of a TIFF's tiles take a second. So a picture is
light that has the plainest form, as nearly all have, by a look at its bytes alone.
"""

from __future__ import annotations

#: The largest file, and the largest form or JSON with files in it, which takes longer to read.
FILE_BYTES, FORM_BYTES = 256 * 1024, 64 * 1024
#: Numbers in an answer.
NUMBERS = 20_000

_PIXELS = 512 * 1024
_MOST_PARTS = 64

# JPEG (ITU T.81): markers of baseline and extended sequential frames, of a scan, and of what may
# stand before one: tables, application data, a comment.
_FRAMES = (0xC0, 0xC1)
_SCAN = 0xDA
_BEFORE_SCAN = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))
_MOST_BEFORE_SCAN = 16 * 1024  # a small colour profile, some EXIF
_MOST_SCANS = 4

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD")
    + (b"pHYs", b"tIME", b"tEXt")
)


def is_light(file: bytes) -> bool:
    """Tells whether a file is a picture of the plainest form, which is decoded quickly."""
    if len(file) > FILE_BYTES:
        return False
    try:
        if file[:3] == b"\xff\xd8\xff":
            return _is_light_jpeg(file)
        return file[:8] == _PNG and _is_light_png(file)
    except IndexError:  # it breaks off
        return False


def are_light_pixels(width: int | None, height: int | None, pictures: int = 1) -> bool:
    """Tells the same of pixels that are there already; None is any number."""
    return pictures * (width or _PIXELS) * (height or 1) <= _PIXELS


def _is_light_jpeg(file: bytes) -> bool:
    position, small = 2, False
    for _ in range(_MOST_PARTS):
        if file[position] != 0xFF or position > _MOST_BEFORE_SCAN:
            return False
        marker = file[position + 1]
        if marker == _SCAN:
            # Within a scan no such two bytes stand.
            return small and file.count(b"\xff\xda", position) <= _MOST_SCANS
        if marker in _FRAMES:
            small = _number(file, position + 5, 2) * _number(file, position + 7, 2) <= _PIXELS
        elif marker not in _BEFORE_SCAN:
            return False
        position += 2 + _number(file, position + 2, 2)
    return False


def _is_light_png(file: bytes) -> bool:
    position, small = len(_PNG), False
    for _ in range(_MOST_PARTS):
        name, content = file[position + 4 : position + 8], position + 8
        if name not in _CHUNKS:
            return False
        if name == b"IEND":
            return small
        if name == b"IHDR":
            interlaced = file[content + 12] != 0
            pixels = _number(file, content, 4) * _number(file, content + 4, 4)
            small = pixels <= _PIXELS and not interlaced
        position = content + _number(file, position, 4) + 4
    return False


def _number(file: bytes, position: int, size: int) -> int:
    """A whole number, the most significant byte first."""
    if position + size > len(file):
        raise IndexError
    return int.from_bytes(file[position : position + size])
