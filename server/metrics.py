"""The gateway's metrics: one table, and the functions by which the rest of the gateway counts.

Label values come from closed sets: what is in none of them is counted as `unknown` or `(others)`.
Each process counts for itself; `server.exposition` makes one text of all of them. A gauge's
multiprocess mode says how: `livesum` adds the processes that live up, `livemostrecent` takes what
the last of them said. A gauge that is not a number is not shown.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge, Histogram, values

#: Classes of a model that are counted by name; those behind them in its order are `(others)`.
MOST_LABELS = 200
#: Versions of a model that a process counts by number in its life; later ones are `(others)`.
MOST_VERSIONS = 100
OTHERS = "(others)"

#: Why a request, or a picture, was refused without an attempt: names of problems, and one cause
#: of the problem `unavailable`.
REJECTIONS = (
    "unauthorized",
    "body-too-slow",
    "body-too-large",
    "unsupported-media-type",
    "too-many-images",
    "image-too-large",
    "overloaded",
    "rate-limited",
    "breaker-open",
)
STAGES_OF_A_REQUEST = ("queue", "read", "decode", "resize", "predict", "encode")
METHODS = ("GET", "POST", "HEAD", "OPTIONS")
BREAKER_STATES = ("closed", "open", "half-open")
RETRY_REASONS = ("unavailable", "version-gone")

# Pillow's modes (ImageMode.py), those of which a decoder makes one.
_MODES = frozenset(
    ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "RGBX"]
    + ["RGBa", "La", "I;16", "I;16B", "I;16L", "I;16N"]
)
_FORMATS = frozenset(
    ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "HEIF", "MPO", "DIB"]
)


#: Prometheus's client takes the workers' folder from here, at its import.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
if os.environ.get(FOLDER_VARIABLE):
    # Else every step of a counter asks the system for the process's number, which can't change:
    # a worker imports this after the fork.
    _PROCESS = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: _PROCESS)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Row:
    """A row of the table: what a metric is called in Prometheus, what it means, its labels."""

    name: str
    text: str
    labels: tuple[str, ...]


_ROWS: list[Row] = []

# Denser where an answer is expected, 2 ms to 500 ms.
_SECONDS: tuple[float, ...] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075)
_SECONDS += (0.1, 0.15, 0.25, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_BYTES = tuple(1024.0 * 4**power for power in range(9))  # 1 KiB to 64 MiB
_PIXELS = (1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)


def _counter(name: str, text: str, *labels: str) -> Counter:
    _ROWS.append(Row(f"{name}_total", text, labels))
    return Counter(name, text, labels)


def _histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
    _ROWS.append(Row(name, text, labels))
    return Histogram(name, text, labels, buckets=buckets)


def _sum(name: str, text: str, *labels: str) -> Gauge:
    _ROWS.append(Row(name, text, labels))
    return Gauge(name, text, labels, multiprocess_mode="livesum")


def _last(name: str, text: str, *labels: str) -> Gauge:
    _ROWS.append(Row(name, text, labels))
    return Gauge(name, text, labels, multiprocess_mode="livemostrecent")


REQUESTS = _counter("lince_http_requests", "Requests answered", "route", "method", "code")
DURATION = _histogram(
    "lince_http_request_duration_seconds", "Time to answer a request", _SECONDS, "route"
)
IN_PROGRESS = _sum("lince_http_requests_in_progress", "Requests being answered")
QUEUE_DEPTH = _sum("lince_queue_depth", "Requests that are there and wait for a thread")
REJECTED = _counter("lince_rejected", "Requests refused without an attempt, by reason", "reason")
STAGES = _histogram(
    "lince_stage_duration_seconds", "Time of a request in one of its stages", _SECONDS, "stage"
)
IMAGES = _counter("lince_images", "Images received, by what became of them", "outcome")
IMAGE_BYTES = _histogram("lince_image_bytes", "Size of an image's file", _BYTES)
IMAGE_PIXELS = _histogram("lince_image_pixels", "Width × height of a decoded image", _PIXELS)
IMAGE_FORMATS = _counter(
    "lince_image_formats", "Images decoded, by format and Pillow's mode", "format", "mode"
)
EXIF_ROTATED = _counter("lince_exif_rotated", "Images that EXIF or XMP said to turn or mirror")
PREDICTIONS = _counter(
    "lince_predictions",
    "Images classified, by the label that came first",
    *("model", "version", "label"),
)
CONFIDENCE = _histogram(
    "lince_prediction_confidence", "Largest probability of an image", _SHARES, "model", "version"
)
ENTROPY = _histogram(
    "lince_prediction_entropy",
    "Entropy of an image's probabilities, as a share of the largest possible",
    _SHARES,
    *("model", "version"),
)
TRACK_REQUESTS = _counter(
    "lince_track_requests",
    "Requests answered where a share goes to a canary, by track",
    *("model", "track", "code"),
)
TRACK_DURATION = _histogram(
    "lince_track_request_duration_seconds",
    "Time to answer a request where a share goes to a canary",
    _SECONDS,
    *("model", "track"),
)
CACHE = _counter("lince_cache_lookups", "Lookups in the cache of answers", "result")
BACKEND_REQUESTS = _counter(
    "lince_backend_requests", "Calls of the model server by gRPC status", "model", "version", "code"
)
BACKEND_DURATION = _histogram(
    "lince_backend_request_duration_seconds",
    "Time of a call of the model server",
    _SECONDS,
    *("model", "version"),
)
BACKEND_RETRIES = _counter(
    "lince_backend_retries", "Calls of the model server that were repeated", "model", "reason"
)
BREAKER_STATE = _sum(
    "lince_breaker_state", "Processes whose circuit breaker is in a state", "model", "state"
)
MODEL_VERSION = _last(
    "lince_model_version", "Newest version that the model server has; 0 while it has none", "model"
)
MODEL_AVAILABLE = _last(
    "lince_model_available",
    "1 while the version is the newest that is available, 0 after that",
    *("model", "version"),
)
MODEL_INFO = _last(
    "lince_model_info",
    "1 for the newest version, with the SHA-256 of its manifest",
    *("model", "version", "manifest_sha256"),
)
PREDICTION_LOG = _counter(
    "lince_prediction_log_records", "Records for the prediction log, by outcome", "outcome"
)
WORKERS = _sum("lince_workers", "Gateway processes that count")
BUILD_INFO = _last("lince_build_info", "1, with Lince's and Python's version", "version", "python")

# What exposition works out of the processes' windows (`server.drift`).
DRIFT_SCORE = Row(
    "lince_drift_score",
    "Population stability index of the last images against the manifest's reference",
    ("model", "version", "feature"),
)
DRIFT_IMAGES = Row(
    "lince_drift_images", "Images in the window of the drift score", ("model", "version")
)
_ROWS += DRIFT_SCORE, DRIFT_IMAGES


def table() -> tuple[Row, ...]:
    """Returns all metrics of the gateway."""
    return tuple(_ROWS)


# The label children are looked up once: `labels()` takes as long as the counting itself.
@cache
def _count(counter: Counter, *values: str) -> Counter:
    return counter.labels(*values)


@cache
def _times(histogram: Histogram, *values: str) -> Histogram:
    return histogram.labels(*values)


def begin() -> None:
    """Says that this process counts, and shows the counters that may stay 0 for long."""
    WORKERS.set(1)
    BUILD_INFO.labels(_own_version(), platform.python_version()).set(1)
    for reason in REJECTIONS:
        REJECTED.labels(reason)
    for result in ("hit", "miss"):
        CACHE.labels(result)
    for outcome in ("written", "failed"):
        PREDICTION_LOG.labels(outcome)


def request_began() -> None:
    """A request has reached the application; `request_left` follows whatever happens."""
    IN_PROGRESS.inc()


def request_left() -> None:
    IN_PROGRESS.dec()


class Waiting:
    """A request that waits for a thread; it is counted until `ends`, which may come again."""

    def __init__(self) -> None:
        self._counted = [True]
        QUEUE_DEPTH.inc()

    def ends(self) -> None:
        with suppress(IndexError):  # pop: only one of two threads finds it
            self._counted.pop()
            QUEUE_DEPTH.dec()


def request_answered(route: str, method: str, code: int, seconds: float) -> None:
    """Counts an answer.

    Args:
        route: pattern of the route, from a closed set.
        method: any.
        seconds: since the request's head was read.
    """
    _count(REQUESTS, route, known_method(method), str(code)).inc()
    _times(DURATION, route).observe(seconds)


def known_method(method: str) -> str:
    """Returns one of METHODS, or `other`."""
    return method if method in METHODS else "other"


def tracked(model: str, track: str, code: int, seconds: float) -> None:
    """Counts an answer of a model that has a canary; `track` is `stable` or `canary`."""
    _count(TRACK_REQUESTS, model, track, str(code)).inc()
    _times(TRACK_DURATION, model, track).observe(seconds)


def rejected(reason: str) -> None:
    """Counts a refusal if it is one of REJECTIONS: any problem's name may be given."""
    if reason in REJECTIONS:
        _count(REJECTED, reason).inc()


def took(stage: str, seconds: float) -> None:
    """Counts the time of a request in a stage of STAGES_OF_A_REQUEST."""
    _times(STAGES, stage).observe(seconds)


def image_received(size: int) -> None:
    """Counts an image's file of so many bytes, whether or not it is one."""
    IMAGE_BYTES.observe(size)


def image_decoded(kind: str | None, mode: str, pixels: int, *, rotated: bool) -> None:
    """Counts a decoded image.

    Args:
        kind: Pillow's name of the format.
        mode: Pillow's mode of the file, before any conversion.
        pixels: width × height of the file.
        rotated: whether EXIF or XMP turned or mirrored it.
    """
    known_format = kind if kind in _FORMATS else "unknown"
    _count(IMAGE_FORMATS, known_format, mode if mode in _MODES else "unknown").inc()
    IMAGE_PIXELS.observe(pixels)
    if rotated:
        EXIF_ROTATED.inc()


def image_outcome(outcome: str, images: int = 1) -> None:
    """Counts what became of images: `classified`, or the name of a problem."""
    _count(IMAGES, outcome).inc(images)


def answered(
    model: str, number: int, labels: Sequence[str], probabilities: NDArray[np.floating]
) -> None:
    """Counts the classification of images.

    Args:
        number: the version that answered.
        labels: of the version, in the order of its output.
        probabilities: [N, K].
    """
    named = version_label(model, number)
    confidence, entropy = _times(CONFIDENCE, model, named), _times(ENTROPY, model, named)
    firsts = probabilities.argmax(axis=1).tolist()
    largest = probabilities.max(axis=1).tolist()
    for first, top, spread in zip(firsts, largest, entropy_shares(probabilities), strict=True):
        label = labels[first] if first < MOST_LABELS else OTHERS
        _count(PREDICTIONS, model, named, label).inc()
        confidence.observe(top)
        entropy.observe(spread)


def entropy_shares(probabilities: NDArray[np.floating]) -> list[float]:
    """Returns the entropy of each row of [N, K], K ≥ 2, divided by that of equal ones, ln K."""
    # A probability of 0 adds nothing: the limit of p · ln p.
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = -(probabilities * logarithms).sum(axis=1)
    shares: list[float] = (entropy / math.log(probabilities.shape[1])).tolist()
    return shares


def cache_looked_up(*, hit: bool) -> None:
    """Counts a lookup in the cache of answers."""
    _count(CACHE, "hit" if hit else "miss").inc()


def backend_called(model: str, number: int | None, code: str, seconds: float) -> None:
    """Counts a call of the model server.

    Args:
        number: the version that was asked for; None where none was named.
        code: name of the gRPC status, `OK` for instance.
    """
    # Callers may ask for any number: only one that answers is a version.
    named = version_label(model, number, exists=code == "OK")
    _count(BACKEND_REQUESTS, model, named, code).inc()
    _times(BACKEND_DURATION, model, named).observe(seconds)


def backend_retried(model: str, reason: str) -> None:
    """Counts the repetition of a call; the reason is one of RETRY_REASONS."""
    _count(BACKEND_RETRIES, model, reason).inc()


def breaker_is(model: str, state: str) -> None:
    """Says in which of BREAKER_STATES this process's breaker for a model is."""
    if _breakers.get(model) == state:
        return
    _breakers[model] = state
    for each in BREAKER_STATES:
        BREAKER_STATE.labels(model, each).set(each == state)


_breakers: dict[str, str] = {}


def model_seen(model: str, number: int, manifest_sha256: str) -> None:
    """Says which version of a model is the newest that is available."""
    _forget_older(model, (number, manifest_sha256))
    _newest[model] = number, manifest_sha256
    named = version_label(model, number)
    MODEL_VERSION.labels(model).set(number)
    MODEL_AVAILABLE.labels(model, named).set(1)
    MODEL_INFO.labels(model, named, manifest_sha256).set(1)


def model_gone(model: str) -> None:
    """Says that no version of a model is available."""
    _forget_older(model, None)
    MODEL_VERSION.labels(model).set(0)


def prediction_logged(*, written: bool) -> None:
    """Counts a record for the prediction log."""
    _count(PREDICTION_LOG, "written" if written else "failed").inc()


_newest: dict[str, tuple[int, str]] = {}


def _forget_older(model: str, now: tuple[int, str] | None) -> None:
    before = _newest.pop(model, None)
    if before is None or before == now:
        return
    named = version_label(model, before[0])
    MODEL_INFO.labels(model, named, before[1]).set(math.nan)
    if now is None or now[0] != before[0]:
        MODEL_AVAILABLE.labels(model, named).set(0)


_versions: dict[str, dict[int, str]] = {}


def version_label(model: str, number: int | None, *, exists: bool = True) -> str:
    """Returns a version as a label. New versions come for as long as a gateway lives.

    Args:
        exists: whether the model server is known to have it; what never was is `unknown`.
    """
    if number is None:
        return "unpinned"
    known = _versions.setdefault(model, {})
    if number not in known:
        if not exists:
            return "unknown"
        if len(known) >= MOST_VERSIONS:
            return OTHERS
        known[number] = str(number)
    return known[number]


def _own_version() -> str:
    try:
        return version("lince")
    except PackageNotFoundError:  # run from a copy of the source
        return "unknown"
