"""A frozen backbone's features: computed once for a data set, and kept on disk.

All epochs of a head together then cost about one pass over the pictures, and the next fit with the
same pictures and backbone costs none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.cache import DISK_FULL, complete_folder, in_words, lacking_space
from training.data.dataset import DataSet, Say
from training.errors import DataError

_BATCH = 64


def cached(
    extractor: keras.Model,
    what: str,
    data: DataSet,
    cache: Path,
    say: Say,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Returns the features of every picture of a data set, float32 [N, …], memory-mapped.

    Args:
        extractor: uint8 [N, H, W, C] → features [N, …]; nothing of it is trained.
        what: tells this extractor's layers and these pictures from all others; the weights are
            told apart here.
        check: called after each batch; may raise to stop.

    Raises:
        DataError: the disk has no room for them.
    """
    folder = cache / "features" / _key(extractor, what)
    path = folder / "features.npy"
    if path.is_file():
        say(f"features: {len(data.inputs)} pictures, from the cache {folder}")
        return np.load(path, mmap_mode="r")
    shape = (len(data.inputs), *extractor.output_shape[1:])
    size = int(np.prod(shape)) * 4
    if lacking := lacking_space(folder, size):
        raise DataError(f"the features {lacking}")
    say(
        "features: the backbone is frozen, so each picture passes it once;"
        f" {in_words(size)} in {folder}"
    )
    try:
        with complete_folder(folder) as scratch, (scratch / path.name).open("wb") as file:
            # Not through a memory map, in which a full disk would be a crash and not an error.
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for features in _compute(extractor, data.inputs):
                file.write(np.ascontiguousarray(features).data)
                check()
            file.flush()
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DataError(f"{cache}: no room for the features: {error}") from error
    return np.load(path, mmap_mode="r")


def _compute(extractor: keras.Model, inputs: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    @tf.function(reduce_retracing=True)
    def run(pixels: tf.Tensor) -> tf.Tensor:
        return tf.cast(extractor(pixels, training=False), tf.float32)

    starts = range(0, len(inputs), _BATCH)
    for start in tqdm(
        starts, unit_scale=_BATCH, unit=" pictures", desc="features", leave=False, disable=None
    ):
        yield run(tf.constant(inputs[start : start + _BATCH])).numpy()


def _key(extractor: keras.Model, what: str) -> str:
    digest = hashlib.sha256(f"{keras.__version__}\0{what}\0{extractor.output_shape}".encode())
    for weight in extractor.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()[:16]
