"""Scores: against sums by hand."""

import numpy as np
import pytest

from training.evaluation import scores

LABELS = ("a", "b", "c")
TARGETS = np.array([0, 0, 1, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],  # right
        [0.4, 0.5, 0.1],  # wrong, second
        [0.2, 0.7, 0.1],  # right
        [0.6, 0.1, 0.3],  # wrong, third
        [0.1, 0.1, 0.8],  # right
        [0.3, 0.5, 0.2],  # wrong, third
    ],
    np.float32,
)


def test_a_classification() -> None:
    files = [f"{number}.png" for number in range(6)]
    found = scores.classification(LABELS, TARGETS, PROBABILITIES, files)
    assert found.accuracy == 0.5
    assert found.loss == pytest.approx(-np.mean(np.log([0.9, 0.4, 0.7, 0.1, 0.8, 0.2])), rel=1e-5)
    assert found.top_k == {1: 0.5}  # with three classes the first three say nothing
    assert found.confusion_matrix == ((1, 1, 0), (1, 1, 0), (0, 1, 1))
    assert [entry.pictures for entry in found.classes] == [2, 2, 2]
    assert [entry.recall for entry in found.classes] == [0.5, 0.5, 0.5]
    assert [entry.precision for entry in found.classes] == pytest.approx([1 / 2, 1 / 3, 1])
    assert found.classes[2].f1 == pytest.approx(2 / 3)
    assert [(each.position, each.file) for each in found.mistakes] == [
        (3, "3.png"),
        (1, "1.png"),
        (5, "5.png"),
    ]
    worst = found.mistakes[0]
    assert (worst.label, worst.predicted) == ("b", "a")
    assert worst.probability == pytest.approx(0.6)
    assert worst.probability_of_label == pytest.approx(0.1)


@pytest.mark.parametrize(("k", "share"), [(1, 3 / 6), (2, 4 / 6), (3, 1)])
def test_top_k(k: int, share: float) -> None:
    assert scores.top_k(TARGETS, PROBABILITIES, k) == pytest.approx(share)


def test_top_k_of_equal_probabilities_is_as_argmax() -> None:
    equal = np.full((4, 4), 0.25, np.float32)
    targets = np.arange(4)
    assert scores.top_k(targets, equal, 1) == np.mean(equal.argmax(axis=1) == targets)


def test_a_calibration_by_hand() -> None:
    sure = np.array([0.95, 0.85, 0.75, 0.65, 0.55, 0.55, 0.5])
    probabilities = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    found = scores.calibration(np.array([0, 0, 0, 1, 1, 0, 0]), probabilities)
    by_low = {round(each.low, 1): each for each in found.bins}
    assert by_low[0.4].pictures == 1  # 0.5 belongs to (0.4, 0.5]
    assert (by_low[0.5].pictures, by_low[0.5].accuracy) == (2, 0.5)
    assert by_low[0.5].confidence == pytest.approx(0.55)
    assert (by_low[0.0].pictures, by_low[0.0].accuracy, by_low[0.0].confidence) == (0, 0, 0)
    off = 0.05 + 0.15 + 0.25 + 0.65 + 2 * abs(0.55 - 0.5) + 0.5
    assert found.error == pytest.approx(off / 7, abs=1e-6)
    assert sum(each.pictures for each in found.bins) == 7


def test_a_model_that_is_as_sure_as_it_is_right_has_no_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200_000)
    probabilities = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    targets = (rng.uniform(size=len(sure)) > sure).astype(np.int64)
    assert scores.calibration(targets, probabilities).error < 0.01
    always = np.zeros_like(targets)
    assert scores.calibration(always, probabilities).error == pytest.approx(0.25, abs=0.01)


def test_certainty_of_one_is_in_the_last_bin() -> None:
    probabilities = np.array([[1.0, 0.0], [1.0000001, 0.0], [0.0, 1.0]], np.float32)
    found = scores.calibration(np.array([0, 0, 1]), probabilities)
    assert found.bins[-1].pictures == 3
    assert found.error == pytest.approx(0, abs=1e-6)


def test_a_class_without_pictures_has_scores_of_zero() -> None:
    found = scores.classification(LABELS, TARGETS[:2], PROBABILITIES[:2])
    assert [entry.pictures for entry in found.classes] == [2, 0, 0]
    assert found.classes[2].precision == found.classes[2].recall == 0
    assert found.mistakes[0].file is None


def test_at_most_24_mistakes_are_listed() -> None:
    rows = np.tile(np.array([[0.9, 0.1]], np.float32), (100, 1))
    found = scores.classification(("a", "b"), np.ones(100, np.int64), rows)
    assert len(found.mistakes) == 24
    assert found.accuracy == 0


def test_a_regression() -> None:
    targets, answers = np.array([[1.0], [2.0]], np.float32), np.array([[2.0], [4.0]], np.float32)
    found = scores.regression(targets, answers)
    assert (found.mean_squared_error, found.mean_absolute_error) == (2.5, 1.5)
