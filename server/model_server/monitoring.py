"""What the server counts, and the page on which Prometheus reads it.

Names, labels and bounds are TensorFlow Serving's, so that dashboards made for it work here. That
rules out prometheus_client, which lets no counter be called `request_count`.
"""

import itertools
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from server.model_server.text_files import read_text_proto
from server.model_server.wire.files_pb2 import MonitoringConfig

DEFAULT_PATH = "/monitoring/prometheus/metrics"

CONTENT_TYPE = "text/plain"
"""Of the page: Prometheus takes it as text format 0.0.4."""

UNKNOWN = "unknown"
"""The model_name of requests for models that were never there: callers choose these names, and
each would be kept for ever."""

_REMEMBERED_BATCHES = 1024
"""Batches whose requests may still be reported: far more than run at the same time."""

Labels = tuple[str, ...]


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Upper bounds: `scale`, and each next one `growth` times the one before."""
    factors = itertools.repeat(growth, count - 1)
    return tuple(itertools.accumulate(factors, lambda bound, factor: bound * factor, initial=scale))


@dataclass
class Histogram:
    """Values counted by size; the last bucket is for what is above all bounds."""

    buckets: list[int]
    total: int = 0


@dataclass
class Counter:
    """A metric that only grows: a number for each combination of labels."""

    name: str
    labels: Labels
    series: dict[Labels, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.labels:
            self.series[()] = 0

    def add(self, labels: Labels, amount: int = 1) -> None:
        self.series[labels] = self.series.get(labels, 0) + amount

    def lines(self) -> Iterator[str]:
        yield f"# TYPE {self.name} counter"
        for values, number in sorted(self.series.items()):
            yield f"{self.name}{{{_pairs(self.labels, values)}}} {number}"


@dataclass
class Sampler:
    """A metric of sizes: a histogram for each combination of labels."""

    name: str
    labels: Labels
    bounds: tuple[float, ...]
    series: dict[Labels, Histogram] = field(default_factory=dict)

    def add(self, labels: Labels, value: int) -> None:
        histogram = self.series.get(labels)
        if histogram is None:
            histogram = self.series[labels] = Histogram([0] * (len(self.bounds) + 1))
        # A value that equals a bound counts as above it, in TensorFlow Serving, too.
        histogram.buckets[bisect_right(self.bounds, value)] += 1
        histogram.total += value

    def lines(self) -> Iterator[str]:
        yield f"# TYPE {self.name} histogram"
        bounds = [f"{bound:.6g}" for bound in self.bounds] + ["+Inf"]
        for values in sorted(self.series):
            histogram = self.series[values]
            pairs = _pairs(self.labels, values)
            counts = itertools.accumulate(histogram.buckets)
            for bound, count in zip(bounds, counts, strict=True):
                yield f'{self.name}_bucket{{{pairs},le="{bound}"}} {count}'
            # In full: cut to six digits, as there, a large sum stands still between two looks.
            yield f"{self.name}_sum{{{pairs}}} {histogram.total}"
            yield f"{self.name}_count{{{pairs}}} {sum(histogram.buckets)}"


class Metrics:
    """All metrics of one server, for any number of threads. A call costs a few microseconds."""

    def __init__(self) -> None:
        serving = ":tensorflow:serving:"
        latency = exponential(10, 1.8, 33)  # microseconds, up to some 25 minutes
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._requests = Counter(f"{serving}request_count", ("model_name", "status"))
        self._latency = Sampler(
            f"{serving}request_latency", ("model_name", "API", "entrypoint"), latency
        )
        self._runtime = Sampler(
            f"{serving}runtime_latency", ("model_name", "API", "runtime"), latency
        )
        self._examples = Sampler(
            f"{serving}request_example_counts", ("model",), exponential(1, 2, 15)
        )
        self._example_total = Counter(f"{serving}request_example_count_total", ("model",))
        self._warmup = Sampler(f"{serving}model_warmup_latency", ("model_path", "status"), latency)
        self._queuing = Sampler(
            f"{serving}batching_session:queuing_latency",
            ("thread_pool_name",),
            exponential(100, 1.2, 52),
        )
        self._begun: dict[float, None] = {}  # in their order, which a set would not keep
        self._batches = Counter(f"{serving}batching_session:wrapped_run_count", ())
        loading = ":tensorflow:cc:saved_model:"
        self._loads = Counter(f"{loading}load_attempt_count", ("model_path", "status"))
        self._load_latency = Counter(f"{loading}load_latency", ("model_path",))

    def request(self, model: str, status: str) -> None:
        """A call of Predict, Classify or Regress, or any of REST, has ended.

        Args:
            model: The name that the caller gave, known or not; empty if there was none.
            status: Name of the status, `OK` or of an error.
        """
        with self._lock:
            if status == "OK":
                self._known.add(model)
            elif model and model not in self._known:
                model = UNKNOWN
            self._requests.add((model, status))

    def latency(self, model: str, api: str, entrypoint: str, seconds: float) -> None:
        """A call that succeeded took so long in all; `entrypoint` is GRPC or REST."""
        with self._lock:
            self._latency.add((model, api, entrypoint), _microseconds(seconds))

    def runtime(self, model: str, api: str, seconds: float) -> None:
        """A run of the graph that succeeded took so long, waiting for its batch included."""
        with self._lock:
            self._runtime.add((model, api, "TF1"), _microseconds(seconds))

    def examples(self, model: str, count: int) -> None:
        """A call of Classify, Regress or MultiInference with so many examples succeeded."""
        with self._lock:
            self._examples.add((model,), count)
            self._example_total.add((model,), count)

    def load(self, model: str, path: str, seconds: float, succeeded: bool) -> None:
        """A version was loaded, or could not be. From then on the model is a known one."""
        with self._lock:
            self._known.add(model)
            self._loads.add((path, "success" if succeeded else "fail"))
            if succeeded:
                self._load_latency.add((path,), _microseconds(seconds))

    def warmup(self, path: str, seconds: float) -> None:
        """All the warm-up requests of a version were run; versions without any don't count."""
        with self._lock:
            self._warmup.add((path, "OK"), _microseconds(seconds))

    def queued(self, waited: float, began: float) -> None:
        """A request waited so many seconds for a batch, one that began to run at `began`.

        That time tells one batch from another. TensorFlow Serving names no thread pool, either.
        """
        with self._lock:
            self._queuing.add(("",), _microseconds(waited))
            if began not in self._begun:
                self._begun[began] = None
                self._batches.add(())
                if len(self._begun) > _REMEMBERED_BATCHES:
                    del self._begun[next(iter(self._begun))]

    def total(self, name: str) -> int:
        """The sum of a counter over all its labels, 0 if there is none of that name.

        Args:
            name: As in TensorFlow's registry (`/tensorflow/serving/request_count`) or as shown.
        """
        shown = name.replace("/", ":")
        with self._lock:
            found = [m for m in vars(self).values() if isinstance(m, Counter) and m.name == shown]
            return sum(sum(counter.series.values()) for counter in found)

    def exposition(self) -> bytes:
        """The page: every metric in Prometheus's text format 0.0.4, even one without values."""
        everything: list[Counter | Sampler] = [
            metric for metric in vars(self).values() if isinstance(metric, Counter | Sampler)
        ]
        with self._lock:
            lines = [
                line
                for metric in sorted(everything, key=lambda metric: metric.name)
                for line in metric.lines()
            ]
        return ("\n".join(lines) + "\n").encode(errors="replace")


def prometheus_path(file: str) -> str | None:
    """Where to show the metrics, from the file that --monitoring_config_file names.

    Args:
        file: A MonitoringConfig as text; empty for none.

    Returns:
        The path on the REST port, or None if they are not to be shown.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT: the file can't be read.
    """
    if not file:
        return None
    config = read_text_proto(file, MonitoringConfig, "tensorflow.serving.MonitoringConfig")
    wanted = config.prometheus_config
    return (wanted.path or DEFAULT_PATH) if wanted.enable else None


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e6))


def _pairs(names: Labels, values: Labels) -> str:
    return ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
