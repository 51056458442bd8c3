"""Training, validation and test set: disjoint, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import DataSet
from training.errors import DataError


@dataclass(frozen=True)
class Split:
    """Positions in a data set: three disjoint sets, int64 [n] each, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(data: DataSet, *, validation_share: float, test_share: float, seed: int) -> Split:
    """Divides a data set, every class by the same shares; the same for the same seed.

    A validation or test set of the data set's own stays what it is. One that has a validation set
    but no test set gives half of the former: its training set stays whole, and the pictures that
    choose the best epoch are not those that tell how good it is.

    Args:
        validation_share, test_share: of all pictures outside the set's own test set; each counts
            only where the data set has no such set of its own.

    Raises:
        DataError: a class has too few pictures to be in every part.
    """
    total = len(data.targets)
    rest, validation, test = np.split(
        np.arange(total), [total - data.own_test - data.own_validation, total - data.own_test]
    )
    pool = total - data.own_test
    if data.own_validation and not data.own_test:
        validation, test = _hold_out(data, validation, 0.5, len(validation), seed)
    if not data.own_validation:
        rest, validation = _hold_out(data, rest, validation_share, pool, seed)
    if not data.own_test and not data.own_validation:
        rest, test = _hold_out(data, rest, test_share, pool, seed)
    return Split(np.sort(rest), np.sort(validation), np.sort(test))


def _hold_out(
    data: DataSet, positions: NDArray[np.int64], share: float, of: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    if not share:
        return positions, positions[:0]
    size = max(len(data.labels), 1, round(share * of))
    classes = data.targets[positions] if data.labels else None
    try:
        kept, held_out = train_test_split(
            positions, test_size=size, random_state=seed, stratify=classes
        )
    except ValueError as error:
        raise _too_few(data, positions, size) from error
    if classes is None:
        return kept, held_out
    # scikit-learn rounds a small class's share down to none without a word.
    if any(len(np.unique(data.targets[part])) < len(data.labels) for part in (kept, held_out)):
        raise _too_few(data, positions, size)
    return kept, held_out


def _too_few(data: DataSet, positions: NDArray[np.int64], size: int) -> DataError:
    if not data.labels:
        return DataError(f"{data.name}: too few points to hold out {size} of {len(positions)}")
    counts = np.bincount(data.targets[positions], minlength=len(data.labels))
    fewest = int(np.argmin(counts))
    return DataError(
        f"{data.name}: too few pictures to hold out {size} of {len(positions)} with every class in"
        f" both parts; class {data.labels[fewest]!r} has only {counts[fewest]}"
    )
