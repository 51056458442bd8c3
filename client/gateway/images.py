"""What may be given as an image, and the bytes of a file for it.

Pillow and NumPy are optional: what is theirs can only be given where they are loaded already.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .errors import ImageInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


class BinaryFile(Protocol):
    """An open file whose `read` gives bytes; it is read from where it stands to its end."""

    def read(self) -> bytes: ...


ImageInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | Image.Image"
    " | NDArray[np.uint8]"
)

# The modes that each format keeps to the last bit. Pillow writes others too, by converting them.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_TIFF_MODES = ("CMYK", "F", "I", "LAB", "YCbCr")
_ORIENTATION = 0x0112  # EXIF's tag
_CHANNELS = (1, 3, 4)


def is_list(images: object) -> bool:
    """Tells several images from one."""
    return isinstance(images, Sequence) and not isinstance(
        images, str | bytes | bytearray | memoryview
    )


def contents(images: Sequence[ImageInput]) -> list[bytes]:
    """Returns the bytes of an image file for each image.

    Raises:
        ImageInputError: an array is no image, or an image's mode fits no format.
        TypeError: none of the types that may be given.
        OSError: a file can't be read.
    """
    return [_content(image) for image in images]


def _content(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return Path(os.fsdecode(image)).read_bytes()
    if _is_of("PIL.Image", "Image", image):
        return _of_pillow(image)
    if _is_of("numpy", "ndarray", image):
        return _of_array(image)
    if hasattr(image, "read"):
        return _of_file(image)
    raise TypeError(
        f"{type(image).__name__}: an image is a path, bytes, a binary file, a PIL image or an array"
    )


def _is_of(module: str, name: str, image: object) -> bool:
    """Whether an object is of a class, without importing it: who has one, has loaded its module."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(image, getattr(loaded, name))


def _of_file(file: BinaryFile) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError(
            f"a file whose read() gives {type(content).__name__}: open it in binary mode"
        )
    return content


def _of_pillow(image: Image.Image) -> bytes:
    from PIL import Image as pillow  # noqa: N813

    image.load()  # a TIFF is turned upright here, and forgets its orientation
    if image.mode in _PNG_MODES:
        options: dict[str, Any] = {"format": "PNG", "compress_level": 1}
    elif image.mode in _TIFF_MODES:
        options = {"format": "TIFF"}
    else:
        known = ", ".join(_PNG_MODES + _TIFF_MODES)
        raise ImageInputError(f"an image of mode {image.mode}: convert it to one of {known}")
    # An image that was opened and not yet turned upright must arrive as its file would.
    orientation = image.getexif().get(_ORIENTATION)
    if orientation is not None:
        options["exif"] = pillow.Exif()
        options["exif"][_ORIENTATION] = orientation
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def _of_array(array: NDArray[Any]) -> bytes:
    shape = "×".join(map(str, array.shape))
    right_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)
    if array.dtype != "uint8" or not right_shape or array.size == 0:
        raise ImageInputError(
            f"an array {array.dtype} [{shape}]: an image is uint8, height×width, or"
            " height×width×channels with 1, 3 or 4 channels"
        )
    try:
        from PIL import Image as pillow  # noqa: N813
    except ModuleNotFoundError as error:
        raise ImageInputError("sending an array as an image needs Pillow: install it") from error
    return _of_pillow(pillow.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array))
