"""Pixel rule 2: how a picture is made smaller on the way to a model's pixels.

1. A JPEG (also the first picture of an MPO) that consists of segments, with nothing between them,
   up to the header of a frame coded by a DCT (SOF0, 1, 2, 9 or 10) is decoded by libjpeg at 1/s of
   its width and height, rounded up: s is the largest of 8, 4, 2 and 1 with which the width and the
   height, divided by s and rounded down, are still at least twice the larger side of the model's
   input.
2. Of the 8-bit opaque picture, before its profile is applied, or after it was composited on white,
   blocks of f × f pixels become their mean, rounded (Pillow's `reduce`; the blocks at the right and
   at the bottom may be smaller): f is the largest whole number with which the width and the height,
   divided by f and rounded down, are still at least twice the input's, and at least 1. Where the
   orientation swaps the sides, the input's are swapped for this.
3. The resize takes the picture as the width and height / s / f that it stands for, not rounded: the
   pixels at its right and its bottom may stand for less than others.

All else is as in rule 1. Steps 1 and 2 leave a picture alone that is less than four times as large
as the model's input, and none becomes smaller than twice that. A model without a fixed size gets
the pixels of rule 1. This never changes its meaning.
"""

from __future__ import annotations

from typing import IO

from PIL import Image, ImageFile

#: How much larger than the model's input the picture stays: the resize needs some to choose from.
_GAP = 2

# Frames coded by a DCT: baseline, extended and progressive; the last two with arithmetic coding.
_DCT_FRAMES = frozenset([0xC0, 0xC1, 0xC2, 0xC9, 0xCA])
# What may come before the frame: tables, restart interval, APPn, comment.
_BEFORE_FRAME = frozenset([0xC4, 0xCC, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE])


def draft(image: Image.Image, size: tuple[int, int]) -> tuple[float, float] | None:
    """Has a JPEG that was opened and not yet loaded decoded smaller: step 1.

    Args:
        size: width and height of the model's input.

    Returns:
        the width and height of the smaller picture, not rounded; None: it stays as it is.
    """
    # The square is right for both ways that the picture may have to be turned.
    side = _GAP * max(size)
    if min(image.size) < 2 * side or not can_be_scaled(image):
        return None
    drafted = image.draft(None, (side, side))
    return None if drafted is None else (drafted[1][2], drafted[1][3])


def block(have: tuple[int, int], size: tuple[int, int]) -> int:
    """Returns the side of the blocks of step 2, 1 for none.

    Args:
        have: width and height of the picture.
        size: of the model's input, turned as the picture is.
    """
    # One for both axes: to be made smaller along one alone would cost as much as it saves.
    return max(1, min(have[0] // (_GAP * size[0]), have[1] // (_GAP * size[1])))


def can_be_scaled(image: Image.Image) -> bool:
    """Whether an opened image is a JPEG that libjpeg decodes at any scale.

    It decodes a lossless one at its full size alone. Pillow then takes it for broken, or, in older
    releases, writes beyond the memory of the smaller picture.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO"):
        return False
    if image.fp is None:
        return False
    position = image.fp.tell()
    try:
        return _is_dct(image.fp)
    finally:
        image.fp.seek(position)


def _is_dct(file: IO[bytes]) -> bool:
    # Strict, other than Pillow and libjpeg, so that no junk shows another frame to them than here.
    file.seek(2)
    while True:
        mark = file.read(4)
        if len(mark) < 4 or mark[0] != 0xFF:
            return False
        if mark[1] in _DCT_FRAMES:
            return True
        if mark[1] not in _BEFORE_FRAME:
            return False
        file.seek(int.from_bytes(mark[2:]) - 2, 1)
