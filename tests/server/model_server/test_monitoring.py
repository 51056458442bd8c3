"""The page that Prometheus reads, what is on it, and the file that asks for it."""

import math
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.model_server.errors import ServingError
from server.model_server.monitoring import DEFAULT_PATH, Metrics, prometheus_path

Series = dict[tuple[str, ...], float]


def samples(page: bytes) -> dict[str, Series]:
    """The page as Prometheus's own parser reads it: values by name and values of the labels."""
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(page.decode()):
        assert family.name.startswith(":tensorflow:")
        assert family.type in ("counter", "histogram")
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def requests(metrics: Metrics) -> Series:
    # The parser gives counters the ending that OpenMetrics wants.
    return samples(metrics.exposition()).get(":tensorflow:serving:request_count_total", {})


def latencies(metrics: Metrics) -> Series:
    return samples(metrics.exposition()).get(":tensorflow:serving:request_latency_count", {})


PAGE = """\
# TYPE :tensorflow:cc:saved_model:load_attempt_count counter
:tensorflow:cc:saved_model:load_attempt_count{model_path="/m/1",status="success"} 1
:tensorflow:cc:saved_model:load_attempt_count{model_path="/m/2",status="fail"} 2
# TYPE :tensorflow:cc:saved_model:load_latency counter
:tensorflow:cc:saved_model:load_latency{model_path="/m/1"} 1500000
# TYPE :tensorflow:serving:batching_session:queuing_latency histogram
# TYPE :tensorflow:serving:batching_session:wrapped_run_count counter
:tensorflow:serving:batching_session:wrapped_run_count{} 0
# TYPE :tensorflow:serving:model_warmup_latency histogram
# TYPE :tensorflow:serving:request_count counter
:tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 1
:tensorflow:serving:request_count{model_name="m",status="OK"} 2
# TYPE :tensorflow:serving:request_example_count_total counter
:tensorflow:serving:request_example_count_total{model="m"} 3
# TYPE :tensorflow:serving:request_example_counts histogram
:tensorflow:serving:request_example_counts_bucket{model="m",le="1"} 0
:tensorflow:serving:request_example_counts_bucket{model="m",le="2"} 0
:tensorflow:serving:request_example_counts_bucket{model="m",le="4"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="8"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="16"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="32"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="64"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="128"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="256"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="512"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="1024"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="2048"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="4096"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="8192"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="16384"} 1
:tensorflow:serving:request_example_counts_bucket{model="m",le="+Inf"} 1
:tensorflow:serving:request_example_counts_sum{model="m"} 3
:tensorflow:serving:request_example_counts_count{model="m"} 1
# TYPE :tensorflow:serving:request_latency histogram
# TYPE :tensorflow:serving:runtime_latency histogram
"""


def test_the_page() -> None:
    metrics = Metrics()
    metrics.load("m", "/m/2", 0.1, False)
    metrics.load("m", "/m/2", 0.1, False)
    metrics.load("m", "/m/1", 1.5, True)
    metrics.request("m", "OK")
    metrics.request("m", "OK")
    metrics.request("m", "INVALID_ARGUMENT")
    metrics.examples("m", 3)
    assert metrics.exposition().decode() == PAGE
    samples(metrics.exposition())


@pytest.mark.parametrize(
    ("name", "labels", "add", "bounds", "last"),
    [
        (
            "request_latency",
            ("m", "Predict", "GRPC"),
            lambda metrics, seconds: metrics.latency("m", "Predict", "GRPC", seconds),
            ["10", "18", "32.4", "58.32", "104.976", "188.957", "340.122", "612.22", "1102"],
            (33, 10 * 1.8**32),
        ),
        (
            "runtime_latency",
            ("m", "Predict", "TF1"),
            lambda metrics, seconds: metrics.runtime("m", "Predict", seconds),
            ["10", "18", "32.4"],
            (33, 10 * 1.8**32),
        ),
        (
            "model_warmup_latency",
            ("/m/1", "OK"),
            lambda metrics, seconds: metrics.warmup("/m/1", seconds),
            ["10", "18", "32.4"],
            (33, 10 * 1.8**32),
        ),
        (
            "batching_session:queuing_latency",
            ("",),
            lambda metrics, seconds: metrics.queued(seconds, 1.0),
            ["100", "120", "144", "172.8", "207.36"],
            (52, 100 * 1.2**51),
        ),
    ],
)
def test_latencies(
    name: str,
    labels: tuple[str, ...],
    add: Callable[[Metrics, float], None],
    bounds: list[str],
    last: tuple[int, float],
) -> None:
    """The bounds, and where a value of 1.5 ms, a huge one and a negative one go."""
    metrics = Metrics()
    for seconds in (0.0015, 1e7, -1.0):
        add(metrics, seconds)
    found = samples(metrics.exposition())
    buckets = found[f":tensorflow:serving:{name}_bucket"]
    assert [key[:-1] for key in buckets] == [labels] * (last[0] + 1)
    limits = [key[-1] for key in buckets]
    assert limits[: len(bounds)] == bounds
    assert math.isclose(float(limits[-2]), last[1], rel_tol=1e-5)
    expected = [1 if float(limit) <= 1500 else 2 for limit in limits[:-1]] + [3]
    assert list(buckets.values()) == expected
    assert found[f":tensorflow:serving:{name}_count"] == {labels: 3}
    assert found[f":tensorflow:serving:{name}_sum"] == {labels: 1500 + 10**13}


def test_large_numbers_are_told_in_full() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.latency("m", "Predict", "GRPC", 1.000001)
    page = metrics.exposition().decode()
    assert '_sum{model_name="m",API="Predict",entrypoint="GRPC"} 3000003\n' in page


def test_a_batch_is_counted_once() -> None:
    """However the requests of 5000 batches, two of which run at any time, are interleaved."""
    metrics = Metrics()
    for number in range(5000):
        for began in (number, number + 1, number):
            metrics.queued(0.001, 1e9 + began / 1e6)
    found = samples(metrics.exposition())
    name = ":tensorflow:serving:batching_session:"
    assert found[f"{name}wrapped_run_count_total"] == {(): 5001}
    assert found[f"{name}queuing_latency_count"] == {("",): 15_000}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\\n", "é", "a}b"])
def test_names_of_any_kind(name: str) -> None:
    metrics = Metrics()
    metrics.request(name, "OK")
    assert requests(metrics) == {(name, "OK"): 1}


def test_a_name_that_is_no_text() -> None:
    metrics = Metrics()
    metrics.load("m", "/m\udcff/1", 1.0, True)
    assert b'model_path="/m?/1"' in metrics.exposition()


def test_callers_choose_no_labels() -> None:
    """Names that were never loaded share a label; a model's own is kept from its load on."""
    metrics = Metrics()
    metrics.load("failing", "/f/1", 1.0, False)
    for number in range(1000):
        metrics.request(f"name {number}", "NOT_FOUND")
    metrics.request("", "INVALID_ARGUMENT")
    metrics.request("failing", "NOT_FOUND")
    assert requests(metrics) == {
        ("unknown", "NOT_FOUND"): 1000,
        ("", "INVALID_ARGUMENT"): 1,
        ("failing", "NOT_FOUND"): 1,
    }


def test_many_threads_at_once() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.request("m", "OK")
            metrics.latency("m", "Predict", "GRPC", 0.001)
            metrics.examples("m", 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        samples(metrics.exposition())
    found = samples(metrics.exposition())
    assert requests(metrics) == {("m", "OK"): 4000}
    assert found[":tensorflow:serving:request_latency_sum"] == {("m", "Predict", "GRPC"): 4e6}
    assert found[":tensorflow:serving:request_example_count_total"] == {("m",): 8000}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("prometheus_config { path: '/metrics' }", None),
        ("prometheus_config { enable: false path: '/metrics' }", None),
        ("prometheus_config { enable: true }", DEFAULT_PATH),
        ('prometheus_config: { enable: true, path: "/metrics" }', "/metrics"),
    ],
)
def test_where_the_page_is(text: str, expected: str | None, tmp_path: Path) -> None:
    path = tmp_path / "monitoring.config"
    path.write_text(text)
    assert prometheus_path(str(path)) == expected
    assert prometheus_path("") is None


def test_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "monitoring.config"
    path.write_text("prometheus { enable: true }")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        prometheus_path(str(path))
    said = capsys.readouterr().err
    assert said.startswith("Error parsing text-format tensorflow.serving.MonitoringConfig: 1:1")
