"""The picture of an explanation: a heat map laid over the image that it explains."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract import shrink
from contract.pixels import PixelSpec, open_image, to_pixels

#: The longer side of an overlay, in pixels.
LONGEST_SIDE = 512

# Inferno (Smith and van der Walt, matplotlib, CC0) at nine equally spaced levels: perceptually
# uniform, dark to light, and the same order for those who don't tell red from green.
_INFERNO = (
    (0, 0, 4),
    (33, 12, 74),
    (87, 16, 110),
    (138, 34, 106),
    (188, 55, 84),
    (228, 90, 49),
    (249, 142, 9),
    (249, 203, 53),
    (252, 255, 164),
)
# Where nothing speaks for the label the picture is to be seen; where most does, colour covers it.
_LEAST_COVER, _MOST_COVER = 0.25, 0.75

_UPRIGHT = PixelSpec(height=None, width=None, channels=3)


def overlay(image: bytes, heatmap: NDArray[np.float32], max_pixels: int) -> bytes:
    """Draws a heat map over the upright image.

    Args:
        image: the file, undecoded.
        heatmap: float32 [h, w] from 0 to 1, of the whole upright image, however it was resized.
        max_pixels: refuse larger images.

    Returns:
        a PNG, at most 512 pixels wide and high.

    Raises:
        ImageError: the file is no image, broken or too large.
    """
    picture = _small(image, max_pixels)
    heat = Image.fromarray(heatmap.astype(np.float32)).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    levels = np.clip(np.asarray(heat), 0.0, 1.0)
    cover = (_LEAST_COVER + (_MOST_COVER - _LEAST_COVER) * levels)[:, :, np.newaxis]
    # The picture gives way to grey, so that its own colours are not taken for the map's.
    grey = np.asarray(picture.convert("L"), np.float32)[:, :, np.newaxis]
    mixed = grey * (1 - cover) + _colours(levels) * cover
    buffer = io.BytesIO()
    Image.fromarray(np.rint(mixed).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _small(image: bytes, max_pixels: int) -> Image.Image:
    opened = open_image(image, max_pixels)
    # A JPEG can be decoded at an eighth of its size, which is far quicker.
    if shrink.can_be_scaled(opened):
        opened.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
    picture = Image.fromarray(to_pixels(opened, _UPRIGHT))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR)
    return picture


def _colours(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels [h, w] from 0 to 1 → float32 [h, w, 3]."""
    places = np.linspace(0.0, 1.0, len(_INFERNO))
    table = np.array(_INFERNO, np.float32)
    bands = [np.interp(levels, places, table[:, band]) for band in range(3)]
    return np.stack(bands, axis=2).astype(np.float32)
