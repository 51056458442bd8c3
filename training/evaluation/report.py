"""The report of a run: how good the model is, as data: `report.json`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from contract.run_folder import RunFolder
from training.errors import RunError


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Of one class: precision, recall and F1, and its number of pictures in the test set."""

    label: str
    precision: float
    recall: float
    f1: float
    pictures: int


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The test pictures whose top probability lies in (low, high].

    Attributes:
        confidence: mean of their top probabilities; 0 where there are none.
        accuracy: share of them that are right; 0 where there are none.
    """

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Whether probabilities mean what they say.

    Attributes:
        error: expected calibration error: mean of |confidence − accuracy| over the bins, weighted
            by their pictures (Naeini, Cooper and Hauskrecht, 2015).
        bins: of equal width.
    """

    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A test picture that got a wrong label.

    Attributes:
        position: in the test set.
        file: where the data set is a folder.
        label: its true class.
        predicted: the class it got.
        probability: of the predicted class.
        probability_of_label: of the true class.
    """

    position: int
    file: str | None
    label: str
    predicted: str
    probability: float
    probability_of_label: float


@dataclass(frozen=True, kw_only=True)
class Classification:
    """How good a classifier is on its test set.

    Attributes:
        accuracy: share of pictures whose true class has the largest probability.
        loss: mean −log of the true class's probability.
        top_k: share of pictures whose true class is among the k largest probabilities, by k.
        confusion_matrix: rows are true classes, columns predicted ones.
        classes: in the order of the labels.
        mistakes: the worst: most certain of the wrong class first.
    """

    accuracy: float
    loss: float
    top_k: dict[int, float]
    confusion_matrix: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]
    calibration: Calibration
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, kw_only=True)
class Regression:
    """How good a regression is on its test set: means of squared and of absolute differences."""

    mean_squared_error: float
    mean_absolute_error: float


@dataclass(frozen=True, kw_only=True)
class Features:
    """A feature extractor is neither right nor wrong: here is the shape of a picture's features."""

    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """How good the model is; one of the three, by the recipe's task."""

    classification: Classification | None = None
    regression: Regression | None = None
    features: Features | None = None


def read_report(run: RunFolder) -> Report:
    """Reads a run's report.

    Raises:
        RunError: the run has none: it is not complete.
    """
    try:
        return msgspec.json.decode(run.report.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{run.folder}: has no report that can be read: {error}") from error
