"""The data sets by name."""

from __future__ import annotations

from pathlib import Path

from contract.pixels import PixelSpec
from training.data import digits, fashion_mnist, flowers, folder
from training.data.dataset import DataSet, Say
from training.errors import DataError


def load(name: str, spec: PixelSpec, *, given: Path | None, cache: Path, say: Say) -> DataSet:
    """Returns a data set in a model's pixels.

    Tried in this order, with a line that says which was taken: the folder given by the user, the
    cache, the data set's own sources.

    Raises:
        DataError: it could not be had or used; the text says why and what to do.
    """
    if given is not None:
        say(f"data: the folder {given}")
        return folder.load(given, spec, cache, say)
    if name == "fashion-mnist":
        return fashion_mnist.load(spec, cache, say)
    if name == "flowers":
        return flowers.load(spec, cache, say)
    if name == "digits":
        say("digits: scikit-learn's own copy")
        return digits.load(spec)
    raise DataError(f"no data set {name!r}")
