"""scikit-learn's 1,797 handwritten digits: real data that needs no download."""

from __future__ import annotations

import numpy as np
from PIL import Image

from contract.pixels import PixelSpec, to_pixels
from training.data.dataset import DataSet

# The scans count ink in 0..16.
_MOST_INK = 16


def load(spec: PixelSpec) -> DataSet:
    """Returns the digits, brought from 8×8 to the model's size by the contract's resize."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    scans = np.rint(bunch.images * (255 / _MOST_INK)).astype(np.uint8)
    return DataSet(
        name="digits",
        source="scikit-learn's own copy",
        labels=tuple(str(digit) for digit in range(10)),
        images=np.stack([to_pixels(Image.fromarray(scan), spec) for scan in scans]),
        targets=bunch.target.astype(np.int64),
    )
