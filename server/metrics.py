"""The gateway's metrics: one table. Label values come from closed sets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    exposition,
    multiprocess,
)

#: Prometheus's client writes its values here, so that any worker can answer for all of them.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Denser where an answer is expected, 2 ms to 500 ms.
_SECONDS: tuple[float, ...] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075)
_SECONDS += (0.1, 0.15, 0.25, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("lince_http_requests", "Requests answered", ["route", "method", "code"])
DURATION = Histogram(
    "lince_http_request_duration_seconds", "Time to answer a request", ["route"], buckets=_SECONDS
)
IN_PROGRESS = Gauge(
    "lince_http_requests_in_progress",
    "Requests being answered",
    multiprocess_mode="livesum",
)
STAGES = Histogram(
    "lince_stage_duration_seconds",
    "Time in a stage of a request: read, decode, predict",
    ["stage"],
    buckets=_SECONDS,
)
IMAGES = Counter("lince_images", "Images received, by what became of them", ["outcome"])
PREDICTIONS = Counter(
    "lince_predictions", "Images classified, by the label that came first", ["model", "label"]
)
BACKEND_REQUESTS = Counter(
    "lince_backend_requests", "Calls of the model server by status", ["model", "code"]
)
MODEL_VERSION = Gauge(
    "lince_model_version",
    "Newest version that the model server has; 0 while it has none",
    ["model"],
    multiprocess_mode="mostrecent",
)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Counts the time of a block as a stage."""
    since = time.perf_counter()
    try:
        yield
    finally:
        STAGES.labels(name).observe(time.perf_counter() - since)


def exposition_text() -> tuple[bytes, str]:
    """Returns the metrics of all workers in Prometheus's text format, and its content type."""
    registry = CollectorRegistry()
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        _forget_dead_workers(Path(folder))
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST
    return exposition.generate_latest(), exposition.CONTENT_TYPE_LATEST


def _forget_dead_workers(folder: Path) -> None:
    """A worker that died takes its live gauges with it; its counters stay."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
