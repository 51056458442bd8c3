"""The pictures that callers send: pieces of scikit-learn's two photographs, the same every time."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

COUNT = 20
#: Longest side of the photographs, pixels: a web page's pictures.
SHORTEST, LONGEST = 320, 500
CAMERA = (4032, 3024)
#: Width over height of the pieces, in turn.
_SHAPES = (4 / 3, 3 / 2, 1.0, 3 / 4, 5 / 4)


def photographs(folder: Path) -> list[Path]:
    """Twenty JPEGs with longest sides of 320 to 500 pixels, of several shapes."""
    sides = np.linspace(SHORTEST, LONGEST, COUNT).astype(int)
    return [_write(_piece(n, int(side)), folder / f"{n:02}.jpg") for n, side in enumerate(sides)]


def thumbnails(folder: Path) -> list[Path]:
    """Twenty grey JPEGs of 28×28 pixels."""
    pieces = (_piece(n, 200).convert("L").resize((28, 28)) for n in range(COUNT))
    return [_write(piece, folder / f"{n:02}.jpg") for n, piece in enumerate(pieces)]


def camera(folder: Path) -> list[Path]:
    """A JPEG of 12 megapixels."""
    return [sized(folder, CAMERA[0])]


def sized(folder: Path, side: int) -> Path:
    """A JPEG of 4:3 with this longest side: enlarged, with a sensor's noise for detail."""
    size = (side, side * 3 // 4)
    large = np.asarray(_piece(0, 400).resize(size, Image.Resampling.BICUBIC), np.int16)
    noise = np.random.default_rng(side).normal(0, 5, large.shape).astype(np.int16)
    noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
    return _write(Image.fromarray(noisy), folder / f"{side}.jpg")


def _piece(number: int, side: int) -> Image.Image:
    photograph = load_sample_images().images[number % 2]
    height, width, _ = photograph.shape
    shape = _SHAPES[number % len(_SHAPES)]
    # The photographs are 427 pixels high: a tall piece is that at most.
    tall = min(round(side / max(shape, 1)), height)
    wide = min(round(side * min(shape, 1)), width)
    top, left = 37 * number % (height - tall + 1), 61 * number % (width - wide + 1)
    return Image.fromarray(photograph[top : top + tall, left : left + wide])


def _write(image: Image.Image, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90)
    return file
