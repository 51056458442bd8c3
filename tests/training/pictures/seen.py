"""What the tests of pictures share."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def opened(png: bytes) -> NDArray[np.uint8]:
    """The pixels [h, w, 3] of a PNG."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def has_colour(pixels: NDArray[np.uint8], colour: str) -> bool:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((pixels == wanted).all(axis=2).any())


#: Names that folders may have, and that a formula, a font or a page stumbles over.
HOSTILE = ("<img src=x onerror=alert(1)>", "$x_{$", "猫 🐈", "a\nb\t\0", "", "x" * 300, r"\$\\")
