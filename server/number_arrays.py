"""Pixels that come as numbers in JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.pixels import PixelSpec
from server.problems import BAD_BODY, Problem

# JSON around the numbers of an image: members, brackets.
_BESIDE = 64


def check_amount(data: bytes, spec: PixelSpec, max_images: int, max_pixels: int) -> None:
    """Refuses JSON with far more numbers than the largest request for a model has, before they
    take ten times the memory as Python's objects.

    Raises:
        Problem: it has more.
    """
    height, width = spec.height or 1, spec.width or max_pixels
    each = height * width * (spec.channels + 1) + height + _BESIDE
    # A few images too many are better told after they were counted.
    if data.count(b",") + data.count(b"[") > 2 * max_images * each:
        raise Problem(BAD_BODY, f"far more numbers than {max_images} images of this model have")


def to_pixels(numbers: list[Any]) -> NDArray[np.uint8] | Problem:
    """Makes an array of nested numbers, each a whole one from 0 to 255.

    What can't be one is a problem of the image alone.
    """
    try:
        values: NDArray[Any] = np.array(numbers)
    except (ValueError, OverflowError):
        return Problem(BAD_BODY, "the numbers are no array: rows of different lengths")
    if values.dtype.kind not in "iuf":
        return Problem(BAD_BODY, "pixels are numbers from 0 to 255")
    levels = values.astype(np.uint8) if not values.size else _levels(values)
    if levels is None:
        return Problem(BAD_BODY, "pixels are whole numbers from 0 to 255")
    return levels


def _levels(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    # Told by the extremes first: a level out of range must not be cast, and no number is NaN here.
    if values.min() < 0 or values.max() > 255:
        return None
    levels = values.astype(np.uint8)
    return levels if values.dtype.kind != "f" or np.array_equal(levels, values) else None
