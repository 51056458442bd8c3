"""CIFAR-10's pickled batches, read without running what a pickle may hold."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from training.data import arrays
from training.data.archive import fetch
from training.data.arrays import ArrayPart
from training.data.dataset import DataRequest, DataSet, Say
from training.data.sources import Part, Source
from training.errors import SourceError

_BATCHES: tuple[tuple[str, Part], ...] = (
    *((f"data_batch_{number}", "train") for number in range(1, 6)),
    ("test_batch", "test"),
)
_SIDE = 32
# All that an array needs. NumPy has moved the first, and asks with a warning for its old place.
_reconstruct = np.empty(0).__reduce__()[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _ALLOWED[module, name]


def load(source: Source, request: DataRequest, say: Say) -> DataSet:
    """Returns the data set; the last 10,000 are the test set.

    Raises:
        SourceError: it could not be had, or its batches are none.
        DataError: as `arrays.load`.
    """
    file = source.files[0]
    folder = fetch(source, file, request.cache, say) / file.folder
    parts = [
        ArrayPart(part=part, targets=read_batch(folder / name)[1], read=_reader(folder / name))
        for name, part in _BATCHES
    ]
    if any(part.targets.max(initial=0) >= len(source.classes) for part in parts):
        raise SourceError(f"{folder}: labels are out of range")
    return arrays.load(
        parts,
        request,
        say,
        name=source.name,
        source=source.homepage,
        labels=source.classes,
        key=file.sha256,
    )


def read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Reads a batch: pictures, uint8 [n, 32, 32, 3], and their classes, int64 [n].

    Raises:
        SourceError: it can't be read, is none, or holds more than arrays.
    """
    try:
        with path.open("rb") as file:
            batch = _unpickle(file)
        rows, classes = batch[b"data"], np.asarray(batch[b"labels"], np.int64)
        if rows.dtype != np.uint8 or classes.shape != (len(rows),) or (classes < 0).any():
            raise ValueError("no such arrays as a batch has")
        # Stored plane by plane.
        pictures = rows.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    except Exception as error:  # unpickling what is no batch can raise anything
        raise SourceError(f"{path}: not a batch of CIFAR-10: {error}") from error
    return pictures, classes


def _unpickle(file: BinaryIO) -> Any:
    return _ArraysOnly(file, encoding="bytes").load()


def _reader(path: Path) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    def read() -> Iterator[NDArray[np.uint8]]:
        yield read_batch(path)[0]

    return read
