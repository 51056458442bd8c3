"""A labelled data set in a model's pixels, and its split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

#: Takes a line that tells the user what goes on.
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures and their classes.

    Attributes:
        name: of the data set, or of the folder it was read from.
        source: where it was taken from, in words.
        labels: class names; `targets` are positions in it.
        images: uint8 [N, H, W, C], usually a memory-mapped file.
        targets: int64 [N].
        own_test: the last so many pictures are the data set's own test set.
        files: the picture files [N], where the set is a folder.
    """

    name: str
    source: str
    labels: tuple[str, ...]
    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    own_test: int = 0
    files: tuple[Path, ...] | None = None

    def fingerprint(self) -> str:
        """SHA-256 over labels, targets and pixels."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        digest.update(self.targets.tobytes())
        for start in range(0, len(self.images), 1024):
            digest.update(self.images[start : start + 1024].tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Positions in a data set: three disjoint sets, int64 [n] each, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(data: DataSet, *, validation_share: float, test_share: float, seed: int) -> Split:
    """Divides a data set, every class by the same shares; the same for the same seed.

    Args:
        validation_share, test_share: of all pictures that are not the set's own test set; the
            test share counts only where the set has no test set of its own.

    Raises:
        DataError: a class has too few pictures to be in every part.
    """
    pool = np.arange(len(data.targets) - data.own_test)
    rest, validation = _hold_out(data, pool, validation_share, len(pool), seed)
    if data.own_test:
        test = np.arange(len(pool), len(data.targets))
    else:
        rest, test = _hold_out(data, rest, test_share, len(pool), seed)
    return Split(np.sort(rest), np.sort(validation), np.sort(test))


def _hold_out(
    data: DataSet, positions: NDArray[np.int64], share: float, of: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    if not share:
        return positions, positions[:0]
    size = max(len(data.labels), round(share * of))
    try:
        kept, held_out = train_test_split(
            positions, test_size=size, random_state=seed, stratify=data.targets[positions]
        )
    except ValueError as error:
        raise _too_few(data, positions, size) from error
    # scikit-learn rounds a small class's share down to none without a word.
    if any(len(np.unique(data.targets[part])) < len(data.labels) for part in (kept, held_out)):
        raise _too_few(data, positions, size)
    return kept, held_out


def _too_few(data: DataSet, positions: NDArray[np.int64], size: int) -> DataError:
    counts = np.bincount(data.targets[positions], minlength=len(data.labels))
    fewest = int(np.argmin(counts))
    return DataError(
        f"{data.name}: too few pictures to hold out {size} of {len(positions)} with every class in"
        f" both parts; class {data.labels[fewest]!r} has only {counts[fewest]}"
    )
