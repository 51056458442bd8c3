"""From what a request brings to pixels: files are decoded, pixels are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import BrokenImageError, ImageError, ImageTooLargeError, NotAnImageError
from contract.pixels import PixelSpec, open_image, orientation, to_pixels
from server import timing
from server.deadline import Deadline
from server.heavy import Heavy
from server.light import are_light_pixels, is_light
from server.problems import BAD_BODY, BROKEN_IMAGE, IMAGE_TOO_LARGE, NOT_AN_IMAGE, Problem

_KINDS = {
    NotAnImageError: NOT_AN_IMAGE,
    BrokenImageError: BROKEN_IMAGE,
    ImageTooLargeError: IMAGE_TOO_LARGE,
}

#: An image as it came: a file, pixels uint8 [H, W, C], or what is already known to be wrong.
Source = bytes | NDArray[np.uint8] | Problem


@dataclass(frozen=True)
class File:
    """What a decoded file was.

    Attributes:
        format: Pillow's name of it.
        mode: Pillow's mode, before any conversion.
        width: pixels, as the file has them.
        height: the same.
        rotated: whether EXIF or XMP said to turn or mirror it.
    """

    format: str | None
    mode: str
    width: int
    height: int
    rotated: bool


@dataclass(frozen=True)
class Picture:
    """The pixels uint8 [H, W, C] for a model, and the file that they are of, if they are of one."""

    pixels: NDArray[np.uint8]
    file: File | None = None


@dataclass(frozen=True)
class Decoder:
    """Makes pixels.

    Attributes:
        max_pixels: refuse larger images.
        heavy: for what would keep other requests waiting.
    """

    max_pixels: int
    heavy: Heavy

    def decode(
        self, sources: Sequence[Source], spec: PixelSpec, deadline: Deadline
    ) -> list[Picture | Problem]:
        """Makes a model's pixels of images; one that gives none has its problem.

        Raises:
            Problem: the deadline has passed.
        """
        light = (
            len(sources) == 1
            and are_light_pixels(spec.width, spec.height)
            and (not isinstance(sources[0], bytes) or is_light(sources[0]))
        )
        return self.heavy.run_unless(light, deadline, self._decode, sources, spec, deadline)

    def _decode(
        self, sources: Sequence[Source], spec: PixelSpec, deadline: Deadline
    ) -> list[Picture | Problem]:
        decoded: list[Picture | Problem] = []
        with timing.decoding() as lap:
            for source in sources:
                deadline.left()
                decoded.append(self._decode_one(source, spec, lap))
        return decoded

    def _decode_one(self, source: Source, spec: PixelSpec, lap: timing.Lap) -> Picture | Problem:
        if isinstance(source, Problem):
            return source
        if isinstance(source, np.ndarray):
            return _checked(source, spec, self.max_pixels)
        try:
            image = open_image(source, self.max_pixels)
            mode, size = image.mode, image.size  # loading may change them
            pixels = to_pixels(image, spec, lambda: lap("decode"))
            lap("resize")
        except ImageError as error:
            lap("decode")
            return problem_of(error)
        file = File(image.format, mode, *size, orientation(image) != 1)
        return Picture(pixels, file)


def problem_of(error: ImageError) -> Problem:
    """Returns what a caller is told of a file that gives no picture."""
    return Problem(_KINDS[type(error)], str(error))


def _checked(pixels: NDArray[np.uint8], spec: PixelSpec, max_pixels: int) -> Picture | Problem:
    wanted = (spec.height, spec.width, spec.channels)
    sizes = zip(pixels.shape, wanted, strict=False)
    if pixels.ndim == 3 and all(size == want or want is None for size, want in sizes):
        if 0 < pixels.shape[0] * pixels.shape[1] <= max_pixels:
            return Picture(pixels)
        return Problem(IMAGE_TOO_LARGE, f"1 to {max_pixels:,} pixels are allowed")
    return Problem(
        BAD_BODY,
        f"pixels of the shape {_shape(pixels.shape)}, the model wants {_shape(wanted)}",
    )


def _shape(sizes: Sequence[int | None]) -> str:
    return "×".join("any" if size is None else str(size) for size in sizes)
