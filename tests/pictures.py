"""Pictures for tests, made here."""

import io

import numpy as np
from PIL import Image


def picture(
    kind: str = "PNG", *, size: tuple[int, int] = (20, 12), mode: str = "RGB", seed: int = 0
) -> bytes:
    """The bytes of an image file with random content."""
    width, height = size
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)
    image = Image.frombytes(mode, size, values.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
