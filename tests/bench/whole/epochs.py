"""Epochs of `lince train flowers-cnn` beside those of the bare Keras model."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.made import class_folders

_PICTURES = 1000


def epochs(folder: Path, scratch: Path, rounds: int) -> list[tuple[float, float]]:
    """Seconds of both, for each round; in a process of its own, since it loads TensorFlow.

    Args:
        folder: for the pictures, kept.
    """
    pictures = class_folders(folder, _PICTURES)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as one:
        return one.submit(_epochs, pictures, scratch / "epochs", rounds).result()


def _epochs(pictures: Path, scratch: Path, rounds: int) -> list[tuple[float, float]]:
    from tests.bench.epoch import measure
    from training.recipes import find

    found = measure(find("flowers-cnn"), pictures, scratch, rounds)
    return [(ours.seconds, bare.seconds) for ours, bare in found]
