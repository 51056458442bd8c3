"""From probabilities and true classes to how good a classifier is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.evaluation.report import (
    Bin,
    Calibration,
    Classification,
    ClassScores,
    Mistake,
    Regression,
)

_BINS = 10
_WORST = 24
_TOP = (1, 3, 5)


def classification(
    labels: Sequence[str],
    targets: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    files: Sequence[str] | None = None,
) -> Classification:
    """Compares probabilities with the truth.

    Args:
        labels: K class names.
        targets: true classes [N], N ≥ 1.
        probabilities: [N, K], rows sum to 1.
        files: the pictures' files [N], where they are files.
    """
    from sklearn import metrics

    numbers = range(len(labels))
    # Float32 rows sum to 1 only up to rounding, which scikit-learn does not accept.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    scores = metrics.precision_recall_fscore_support(
        targets, predicted, labels=numbers, zero_division=0
    )
    matrix = metrics.confusion_matrix(targets, predicted, labels=numbers)
    return Classification(
        accuracy=float(np.mean(predicted == targets)),
        loss=float(metrics.log_loss(targets, exact, labels=numbers)),
        top_k={k: top_k(targets, probabilities, k) for k in _TOP if k == 1 or k < len(labels)},
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        classes=tuple(
            ClassScores(label=label, precision=p, recall=r, f1=f, pictures=int(n))
            for label, p, r, f, n in zip(labels, *(each.tolist() for each in scores), strict=True)
        ),
        calibration=calibration(targets, probabilities),
        mistakes=_mistakes(labels, targets, probabilities, files),
    )


def regression(targets: NDArray[np.float32], answers: NDArray[np.float32]) -> Regression:
    """Compares numbers [N, 1] with the true ones [N, 1]."""
    difference = answers.astype(np.float64) - targets
    return Regression(
        mean_squared_error=float(np.mean(difference**2)),
        mean_absolute_error=float(np.mean(np.abs(difference))),
    )


def top_k(targets: NDArray[np.int64], probabilities: NDArray[np.float32], k: int) -> float:
    """Share of pictures whose true class is among the k largest probabilities.

    Among equal probabilities the class of the smaller number goes first, as in argmax.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float(np.mean((order == targets[:, np.newaxis]).any(axis=1)))


def calibration(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Calibration:
    """Expected calibration error over ten bins of equal width (see `report.Calibration`)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    edges = np.linspace(0, 1, _BINS + 1)
    # (low, high], and what rounding has put above 1 in the last one.
    places = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, _BINS - 1)
    bins, error = [], 0.0
    for number in range(_BINS):
        inside = places == number
        count = int(inside.sum())
        mean = float(confidence[inside].mean()) if count else 0.0
        share = float(right[inside].mean()) if count else 0.0
        error += abs(mean - share) * count / len(targets)
        low, high = float(edges[number]), float(edges[number + 1])
        bins.append(Bin(low=low, high=high, pictures=count, confidence=mean, accuracy=share))
    return Calibration(error=error, bins=tuple(bins))


def _mistakes(
    labels: Sequence[str],
    targets: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    files: Sequence[str] | None,
) -> tuple[Mistake, ...]:
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != targets)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:_WORST]
    return tuple(
        Mistake(
            position=int(number),
            file=None if files is None else files[number],
            label=labels[targets[number]],
            predicted=labels[predicted[number]],
            probability=float(probabilities[number, predicted[number]]),
            probability_of_label=float(probabilities[number, targets[number]]),
        )
        for number in worst
    )
