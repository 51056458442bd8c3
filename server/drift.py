"""Drift: do the images and the answers of late look like those that the model was tested with?

The manifest's reference distribution has four histograms of the test set (`contract.distribution`).
Each worker keeps the bins of the last images of each version; the sums over the workers that live
are held against the reference when the metrics are read, so a score is of all workers whichever
answers. Counts and reference travel between the workers as two gauges that are not shown.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.samples import Sample

from contract.distribution import HISTOGRAMS, Distribution, measure, population_stability_index
from contract.manifest import ReferenceDistribution
from server import metrics

#: No score is shown of fewer images: chance alone would make that of 20 bins more than 0.04.
ENOUGH = 500
#: Images in a second that one worker measures, once its window is full. More of them would make the
#: window of a busy gateway one of seconds, and measuring takes a fifth of a millisecond.
PER_SECOND = 20.0
#: Classes that count for themselves in the class mix, the most frequent in the reference; the
#: others are one. The chance part of the index grows with the number of bins.
MOST_CLASSES = 19
# Versions of which a worker keeps a window: those used last.
_MOST_WINDOWS = 8

#: The probabilities [K] of an image and its pixels uint8 [H, W, C], as the model was given them.
Answer = tuple[NDArray[np.floating], NDArray[np.uint8]]

_LABELS = ("model", "version", "feature", "bin")
_SEEN = Gauge("lince_drift_seen", "Internal: the window", _LABELS, multiprocess_mode="livesum")
_REFERENCE = Gauge(
    "lince_drift_reference", "Internal: the reference", _LABELS, multiprocess_mode="livemostrecent"
)


@dataclass
class _Window:
    """The bins of the last images of one version, and the gauges that count them.

    Attributes:
        reference: what they are compared with.
        groups: bin of the class mix of each class.
        images: bins of each image, in the order of HISTOGRAMS.
    """

    model: str
    version: str
    reference: Distribution
    groups: list[int]
    images: deque[tuple[int, ...]] = field(default_factory=deque)
    gauges: dict[tuple[int, int], Gauge] = field(default_factory=dict)

    def add(self, bins: tuple[int, ...], most: int) -> None:
        self._count(bins, 1)
        self.images.append(bins)
        if len(self.images) > most:
            self._count(self.images.popleft(), -1)

    def close(self) -> None:
        for gauge in self.gauges.values():
            gauge.set(0)

    def _count(self, bins: tuple[int, ...], amount: int) -> None:
        for place in enumerate(bins):
            gauge = self.gauges.get(place)
            if gauge is None:
                values = (self.model, self.version, HISTOGRAMS[place[0]], str(place[1]))
                gauge = self.gauges[place] = _SEEN.labels(*values)
            gauge.inc(amount)


@dataclass
class Watch:
    """The windows of one worker; safe for threads.

    Attributes:
        window: images of a version that this worker keeps.
        per_second: images that it measures in a second, beyond a first window full.
        clock: seconds, monotonic.
    """

    window: int
    per_second: float = PER_SECOND
    clock: Callable[[], float] = time.monotonic
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._credit, self._since = float(self.window), self.clock()

    def saw(
        self,
        model: str,
        number: int,
        reference: ReferenceDistribution,
        answers: Sequence[Answer],
    ) -> None:
        """Takes images and their answers into account, as many as there is time for.

        Args:
            number: the version that answered.
            reference: the manifest's.
            answers: the images' probabilities and pixels.
        """
        version = metrics.version_label(model, number)
        if version == metrics.OTHERS:
            return
        measured = [
            measure(probabilities[np.newaxis], pixels[np.newaxis])
            for probabilities, pixels in answers[: self._affordable(len(answers))]
        ]
        with self._lock:
            window = self._of(model, version, reference.test)
            for one in measured:
                window.add(_bins(one, window.groups), self.window)

    def _affordable(self, images: int) -> int:
        with self._lock:
            now = self.clock()
            earned = (now - self._since) * self.per_second
            self._credit, self._since = min(self.window, self._credit + earned), now
            taken = min(images, int(self._credit))
            self._credit -= taken
        return taken

    def _of(self, model: str, version: str, reference: Distribution) -> _Window:
        window = self._windows.pop((model, version), None)
        if window is not None and window.reference is not reference:
            window.close()  # another artifact has the number now
            window = None
        if window is None:
            window = _Window(model, version, reference, groups(reference.predictions))
            _publish(window)
        self._windows[model, version] = window  # the last of them is the one used last
        if len(self._windows) > _MOST_WINDOWS:
            self._windows.pop(next(iter(self._windows))).close()
        return window


def groups(predictions: Sequence[int]) -> list[int]:
    """Returns the bin of each class in the class mix, given how frequent each is."""
    order = sorted(range(len(predictions)), key=lambda label: -predictions[label])
    found = [min(MOST_CLASSES, len(predictions) - 1)] * len(predictions)
    for place, label in enumerate(order[:MOST_CLASSES]):
        found[label] = place
    return found


def with_scores(families: Iterable[Metric]) -> Iterator[Metric]:
    """Gives the metrics of all workers, the scores in the place of what they are made of."""
    internal: dict[str, list[Sample]] = {_SEEN._name: [], _REFERENCE._name: []}
    for family in families:
        if family.name in internal:
            internal[family.name] = family.samples
        else:
            yield family
    yield from _scores(_counts(internal[_SEEN._name]), _counts(internal[_REFERENCE._name]))


#: Counts by model and version, by feature, by bin.
_Counts = dict[tuple[str, str], dict[str, dict[int, float]]]


def _counts(samples: Iterable[Sample]) -> _Counts:
    counts: _Counts = {}
    for sample in samples:
        labels = sample.labels
        of_version = counts.setdefault((labels["model"], labels["version"]), {})
        of_version.setdefault(labels["feature"], {})[int(labels["bin"])] = sample.value
    return counts


def _scores(seen: _Counts, reference: _Counts) -> Iterator[Metric]:
    scores = _family(metrics.DRIFT_SCORE)
    images = _family(metrics.DRIFT_IMAGES)
    for version, expected in reference.items():
        counts = seen.get(version, {})
        number = sum(counts.get("confidence", {}).values())
        images.add_metric(version, number)
        if number < ENOUGH:
            continue
        for feature, bins in expected.items():
            places = sorted(bins)
            actual = counts.get(feature, {})
            score = population_stability_index(
                [int(bins[place]) for place in places],
                [int(actual.get(place, 0)) for place in places],
            )
            scores.add_metric((*version, feature), score)
    yield from (scores, images)


def _family(row: metrics.Row) -> GaugeMetricFamily:
    return GaugeMetricFamily(row.name, row.text, labels=row.labels)


def _publish(window: _Window) -> None:
    for feature in HISTOGRAMS:
        counts = list(getattr(window.reference, feature))
        if feature == "predictions":
            counts = _folded(counts, window.groups)
        for place, count in enumerate(counts):
            _REFERENCE.labels(window.model, window.version, feature, str(place)).set(count)


def _folded(counts: Sequence[int], into: Sequence[int]) -> list[int]:
    folded = [0] * (max(into) + 1)
    for count, place in zip(counts, into, strict=True):
        folded[place] += count
    return folded


def _bins(one: Distribution, into: Sequence[int]) -> tuple[int, ...]:
    """The bins of a distribution of one image, in the order of HISTOGRAMS."""
    places = {name: getattr(one, name).index(1) for name in HISTOGRAMS}
    places["predictions"] = into[places["predictions"]]
    return tuple(places.values())
