"""Drift scores: the last images against the manifest's reference."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.distribution import Distribution, measure, population_stability_index
from contract.manifest import ReferenceDistribution
from server import drift as drifting
from server.drift import ENOUGH, MOST_CLASSES, Watch
from tests.server.figures import figure

FEATURES = ("confidence", "predictions", "brightness", "contrast")


def pictures(count: int, dark: int, light: int, seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    levels = random.integers(dark, light, (count, 1, 1, 1))
    noise = random.integers(0, 20, (count, 4, 4, 3))
    return (levels + noise).astype(np.uint8)


def answers(count: int, sure: float, seed: int, classes: int = 3) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.dirichlet(np.full(classes, 1 - sure), count).astype(np.float32)


def reference(rows: NDArray[np.float32], pixels: NDArray[np.uint8]) -> ReferenceDistribution:
    return ReferenceDistribution(test=measure(rows, pixels))


def see(
    watch: Watch,
    model: str,
    number: int,
    usual: ReferenceDistribution,
    rows: NDArray[np.float32],
    pixels: NDArray[np.uint8],
) -> None:
    watch.saw(model, number, usual, list(zip(rows, pixels, strict=True)))


def drift(usual: ReferenceDistribution, seen: Distribution, feature: str) -> float:
    return population_stability_index(getattr(usual.test, feature), getattr(seen, feature))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def scores(model: str, version: str = "1") -> dict[str, float | None]:
    return {
        feature: figure("lince_drift_score", model=model, version=version, feature=feature)
        for feature in FEATURES
    }


def test_the_same_pictures_have_no_drift_and_others_have() -> None:
    usual = reference(answers(2000, 0.7, 1), pictures(2000, 50, 200, 1))
    see(Watch(1000), "d-same", 1, usual, answers(1000, 0.7, 2), pictures(1000, 50, 200, 2))
    see(Watch(1000), "d-dark", 1, usual, answers(1000, 0.1, 2), pictures(1000, 0, 60, 2))
    same, dark = scores("d-same"), scores("d-dark")
    assert all(score is not None and score < 0.1 for score in same.values()), same
    assert dark["brightness"] is not None
    assert dark["brightness"] > 1
    assert dark["confidence"] is not None
    assert dark["confidence"] > 0.25


def test_scores_are_those_of_the_contract() -> None:
    rows, pixels = answers(600, 0.5, 3), pictures(600, 0, 100, 3)
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    see(Watch(600), "d-exact", 1, usual, rows, pixels)
    for feature, score in scores("d-exact").items():
        assert score == pytest.approx(drift(usual, measure(rows, pixels), feature)), feature


def test_no_score_of_a_few_images() -> None:
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    watch = Watch(ENOUGH)
    see(watch, "d-few", 1, usual, answers(ENOUGH - 1, 0.7, 5), pictures(ENOUGH - 1, 50, 200, 5))
    assert scores("d-few") == dict.fromkeys(FEATURES)
    assert figure("lince_drift_images", model="d-few", version="1") == ENOUGH - 1
    see(watch, "d-few", 1, usual, answers(1, 0.7, 6), pictures(1, 50, 200, 6))
    assert None not in scores("d-few").values()


def test_the_windows_of_workers_are_one() -> None:
    rows, pixels = answers(600, 0.5, 3), pictures(600, 0, 100, 3)
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    for part in (slice(0, 250), slice(250, 600)):
        see(Watch(400), "d-workers", 1, usual, rows[part], pixels[part])
    assert figure("lince_drift_images", model="d-workers", version="1") == 600
    expected = drift(usual, measure(rows, pixels), "contrast")
    assert scores("d-workers")["contrast"] == pytest.approx(expected)


def test_the_window_slides() -> None:
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    clock = Clock()
    watch = Watch(ENOUGH, per_second=100.0, clock=clock)
    see(watch, "d-slides", 1, usual, answers(ENOUGH, 0.7, 5), pictures(ENOUGH, 0, 20, 5))
    clock.now = 1000.0
    rows, pixels = answers(ENOUGH, 0.7, 6), pictures(ENOUGH, 50, 200, 6)
    see(watch, "d-slides", 1, usual, rows, pixels)
    assert figure("lince_drift_images", model="d-slides", version="1") == ENOUGH
    expected = drift(usual, measure(rows, pixels), "brightness")
    assert scores("d-slides")["brightness"] == pytest.approx(expected)


def test_a_busy_worker_measures_a_few_in_a_second() -> None:
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    clock = Clock()
    watch = Watch(10, per_second=4.0, clock=clock)

    def measured() -> int:
        before = len(watch._windows["d-busy", "1"].images) if watch._windows else 0
        see(watch, "d-busy", 1, usual, answers(6, 0.7, 5), pictures(6, 50, 200, 5))
        return len(watch._windows["d-busy", "1"].images) - before

    assert [measured(), measured(), measured()] == [6, 4, 0]
    assert watch._affordable(100) == 0
    clock.now = 0.5
    assert watch._affordable(100) == 2
    clock.now = 1000.0
    assert watch._affordable(100) == 10


def test_versions_are_apart_and_the_least_used_go() -> None:
    usual = reference(answers(900, 0.7, 4), pictures(900, 50, 200, 4))
    watch = Watch(1000)
    for version in range(1, 10):
        see(watch, "d-many", version, usual, answers(5, 0.7, 5), pictures(5, 50, 200, 5))
    assert figure("lince_drift_images", model="d-many", version="9") == 5
    assert figure("lince_drift_images", model="d-many", version="1") == 0
    see(watch, "d-many", 1, usual, answers(2, 0.7, 5), pictures(2, 50, 200, 5))
    assert figure("lince_drift_images", model="d-many", version="1") == 2


def test_many_classes_have_few_bins() -> None:
    classes = 100
    groups = drifting.groups(range(classes))
    assert len(set(groups)) == MOST_CLASSES + 1
    assert groups[classes - 1] == 0  # the most frequent one
    assert groups[0] == MOST_CLASSES
    assert drifting.groups([5, 9, 1]) == [1, 0, 2]
    usual = reference(answers(900, 0.7, 4, classes), pictures(900, 50, 200, 4))
    watch = Watch(ENOUGH)
    see(
        watch, "d-classes", 1, usual, answers(ENOUGH, 0.7, 5, classes), pictures(ENOUGH, 50, 200, 5)
    )
    score = scores("d-classes")["predictions"]
    assert score is not None
    assert score < 0.25


def test_another_artifact_with_the_number_begins_anew() -> None:
    watch = Watch(1000, per_second=1e9)
    for seed, images in ((4, 700), (5, 600)):
        usual = reference(answers(900, 0.7, seed), pictures(900, 50, 200, seed))
        see(watch, "d-anew", 1, usual, answers(images, 0.7, 5), pictures(images, 50, 200, 5))
        assert figure("lince_drift_images", model="d-anew", version="1") == images


def test_the_parts_of_the_scores_are_not_shown() -> None:
    usual = ReferenceDistribution(test=empty())
    see(Watch(1000), "d-parts", 1, usual, answers(5, 0.7, 5), pictures(5, 50, 200, 5))
    labels = {"model": "d-parts", "version": "1", "feature": "confidence", "bin": "0"}
    assert figure("lince_drift_seen", **labels) is None
    assert figure("lince_drift_reference", **labels) is None


def empty() -> Distribution:
    zeros = (0,) * 10
    return Distribution(
        images=0, confidence=zeros, predictions=(0, 0, 0), brightness=zeros, contrast=zeros
    )
