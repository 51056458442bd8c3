"""What data is asked for, and a labelled data set in a model's pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.paths import as_text
from contract.pixels import PixelSpec
from training.errors import DataError

#: Takes a line that tells the user what goes on.
Say = Callable[[str], None]

#: Height and width of the pictures for a model that takes any.
ANY_SIDE = 256
_HASHED_AT_ONCE = 1 << 24


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Which data, and in which form.

    Attributes:
        name: of the data set in `training.data.sources`.
        spec: the pixels that the model sees; None for a regression.
        given: a folder of class folders, or an .npz file, instead of the data set's own source.
        classes: only these, all if empty.
        skip_bad: go on without the files that can't be used.
        cache: folder of downloads and decoded pictures.
    """

    name: str
    spec: PixelSpec | None
    given: Path | None = None
    classes: tuple[str, ...] = ()
    skip_bad: bool = False
    cache: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pictures: 256×256 for a model that takes any size.

        Raises:
            DataError: the model learns from numbers.
        """
        spec = self.pixels
        assert spec.height is not None
        assert spec.width is not None
        return spec.height, spec.width, spec.channels

    @property
    def pixels(self) -> PixelSpec:
        """How the pictures are made, with a number for each side.

        Raises:
            DataError: the model learns from numbers.
        """
        if self.spec is None:
            raise DataError(f"{self.name}: the model learns from numbers, not from pictures")
        if self.spec.height is None:
            return replace(self.spec, height=ANY_SIDE, width=ANY_SIDE)
        return self.spec


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What there is to learn from: pictures and their classes, or numbers.

    The training pictures come first, then the set's own validation pictures, then its own test
    pictures, where it has such.

    Attributes:
        name: of the data set, or of the folder it was read from.
        source: where it was taken from, in words.
        labels: class names; `targets` are positions in it. Empty for a regression.
        inputs: uint8 [N, H, W, C], usually a memory-mapped file; float32 [N, 1] for a regression.
        targets: int64 [N]; float32 [N, 1] for a regression.
        own_validation: so many pictures before its own test set are its own validation set.
        own_test: the last so many pictures are its own test set.
        files: the picture files [N], where the set is a folder.
        skipped: files that were left out since they can't be used, with the reason of each.
    """

    name: str
    source: str
    labels: tuple[str, ...]
    inputs: NDArray[Any]
    targets: NDArray[Any]
    own_validation: int = 0
    own_test: int = 0
    files: tuple[Path, ...] | None = None
    skipped: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 over labels, targets and inputs."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        digest.update(self.targets.tobytes())
        rows = max(1, _HASHED_AT_ONCE // max(1, self.inputs[:1].nbytes))
        for start in range(0, len(self.inputs), rows):
            block = np.ascontiguousarray(self.inputs[start : start + rows])
            digest.update(block.reshape(-1).data)
        return digest.hexdigest()


def choose_classes(labels: Sequence[str], wanted: Sequence[str], name: str) -> tuple[str, ...]:
    """Returns those of a data set's labels that are wanted, all if none is named, in its order.

    Raises:
        DataError: a class that there is not, or fewer than two.
    """
    unknown = [as_text(label) for label in wanted if label not in labels]
    if unknown:
        raise DataError(
            f"{name}: no class {', '.join(map(repr, unknown))}; there are {', '.join(labels)}"
        )
    chosen = tuple(label for label in labels if label in wanted or not wanted)
    if len(chosen) < 2:
        raise DataError(f"{name}: only the class {chosen[0]!r} was chosen; at least 2 are needed")
    return chosen
