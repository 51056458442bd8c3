"""HEIC and its like (HEIF): read where the extra `heic` brings pillow-heif."""

from __future__ import annotations

import importlib.util
from functools import cache

#: Whether the library is installed. It is loaded with the first such picture, not before.
AVAILABLE = importlib.util.find_spec("pillow_heif") is not None
#: Pillow's name of the format.
FORMAT = "HEIF"
#: What makes a file in a folder one of them.
SUFFIXES = (".heic", ".heif", ".hif")

# The brands of ISO/IEC 23008-12 in the file's first box, `ftyp`; AVIF has others.
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def is_heif(data: bytes) -> bool:
    """Whether the bytes begin as a HEIF file does that is no AVIF."""
    if data[4:8] != b"ftyp" or data[8:12] not in _BRANDS:
        return False
    size = int.from_bytes(data[:4])
    return data[8:12] not in (b"mif1", b"msf1") or b"avi" not in data[16 : min(size, 128)]


@cache
def register() -> None:
    """Teaches Pillow the format."""
    import pillow_heif

    # Neither thumbnails nor further pictures are looked at; the gateway has threads of its own.
    pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
    )
