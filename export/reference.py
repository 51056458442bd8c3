"""What the run's test set says of the model: its mistakes, and what is usual to see and to say."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contract.distribution import Distribution, add, measure
from contract.manifest import Manifest, ReferenceDistribution
from contract.run_folder import RunFolder

#: A larger confusion matrix would make `describe` costly, which gateways call every second.
MOST_CLASSES = 40
_BATCH = 64


def with_reference(manifest: Manifest, run: RunFolder) -> Manifest:
    """Returns a classification's manifest with confusion matrix and reference distribution."""
    images, targets = run.test_set()
    probabilities = run.outputs()
    matrix = confusion_matrix(targets, probabilities) if manifest.classes <= MOST_CLASSES else None
    return replace(
        manifest,
        confusion_matrix=matrix,
        reference_distribution=ReferenceDistribution(test=_distribution(probabilities, images)),
    )


def confusion_matrix(
    targets: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> tuple[tuple[int, ...], ...]:
    """Returns counts [K][K] of true classes [N] (rows) and the top ones of [N, K] (columns)."""
    classes = probabilities.shape[1]
    pairs = targets * classes + probabilities.argmax(axis=1)
    matrix = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return tuple(tuple(row) for row in matrix.tolist())


def _distribution(probabilities: NDArray[np.float32], images: NDArray[np.uint8]) -> Distribution:
    # A test set may be larger than the memory.
    parts = (
        measure(probabilities[start : start + _BATCH], images[start : start + _BATCH])
        for start in range(0, len(images), _BATCH)
    )
    return functools.reduce(add, parts)
