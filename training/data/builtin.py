"""Data sets that need no download: scikit-learn's, and six points of a line."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from training.data import arrays
from training.data.arrays import ArrayPart
from training.data.dataset import DataRequest, DataSet, Say
from training.data.sources import Source
from training.errors import DataError

_OWN_COPY = "scikit-learn's own copy"
# The scans count ink in 0..16.
_MOST_INK = 16
# A photograph of 427×640 gives 3×4 pieces, of which each third is for the test.
_ROWS, _COLUMNS, _EACH_TEST = 3, 4, 3


def digits(source: Source, request: DataRequest, say: Say) -> DataSet:
    """Returns scikit-learn's 1,797 handwritten digits, brought from 8×8 to the model's size."""
    from sklearn.datasets import load_digits

    say(f"{source.name}: {_OWN_COPY}")
    bunch = load_digits()
    scans = np.rint(bunch.images * (255 / _MOST_INK)).astype(np.uint8)
    targets = bunch.target.astype(np.int64)
    part = ArrayPart(part="train", targets=targets, read=lambda: [scans])
    return _load([part], [scans], source, request, say)


def photographs(source: Source, request: DataRequest, say: Say) -> DataSet:
    """Returns 24 pieces of scikit-learn's two photographs; the last 8 are the test set."""
    from sklearn.datasets import load_sample_image

    say(f"{source.name}: {_OWN_COPY}")
    pieces = [_pieces(load_sample_image(f"{label}.jpg")) for label in source.classes]
    test = np.arange(_ROWS * _COLUMNS) % _EACH_TEST == _EACH_TEST - 1
    learn = np.concatenate([piece[~test] for piece in pieces])
    held = np.concatenate([piece[test] for piece in pieces])
    numbers = np.arange(len(pieces))
    parts = [
        ArrayPart(part="train", targets=np.repeat(numbers, (~test).sum()), read=lambda: [learn]),
        ArrayPart(part="test", targets=np.repeat(numbers, test.sum()), read=lambda: [held]),
    ]
    return _load(parts, [learn, held], source, request, say)


def line(source: Source, request: DataRequest, _say: Say) -> DataSet:
    """Returns points of y = 2x − 1: six to learn from, and x = 10 as the test.

    Raises:
        DataError: the model learns from pictures, or classes were chosen.
    """
    if request.spec is not None or request.classes:
        raise DataError(f"{source.name}: holds numbers, neither pictures nor classes")
    x = np.array([[-1], [0], [1], [2], [3], [4], [10]], np.float32)
    return DataSet(
        name=source.name,
        source="computed",
        labels=(),
        inputs=x,
        targets=2 * x - 1,
        own_test=1,
    )


def _pieces(photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = (n // m for n, m in zip(photograph.shape, (_ROWS, _COLUMNS), strict=False))
    whole = photograph[: _ROWS * height, : _COLUMNS * width]
    grid = whole.reshape(_ROWS, height, _COLUMNS, width, 3).swapaxes(1, 2)
    return grid.reshape(-1, height, width, 3)


def _load(
    parts: list[ArrayPart],
    pictures: list[NDArray[np.uint8]],
    source: Source,
    request: DataRequest,
    say: Say,
) -> DataSet:
    # By content: another version of the library may bring other pictures.
    key = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()
    return arrays.load(
        parts,
        request,
        say,
        name=source.name,
        source=_OWN_COPY,
        labels=source.classes,
        key=key,
    )
