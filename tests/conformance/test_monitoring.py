"""The page on which Prometheus reads what the server counts."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.api import (
    Api,
    classify_request,
    example,
    inference_request,
    metadata_request,
    predict_request,
    regress_request,
)
from tests.conformance.cases import floats

pytestmark = pytest.mark.integration

PATH = "/monitoring/prometheus/metrics"
NAMES = ":tensorflow:serving:"

X = floats([[1, 2, 3, 4]])
TWO = example(x=2.0)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

LINE = re.compile(r"(?P<name>[a-zA-Z0-9_:]+)\{(?P<labels>.*)\} (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def lines(api: Api) -> list[str]:
    reply = api.call("GET", PATH)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    return [line for line in reply.body.decode().splitlines() if line.strip()]


def series(api: Api) -> Series:
    """Every number on the page, by name and labels."""
    found: Series = {}
    for line in lines(api):
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        found[match["name"], frozenset(LABEL.findall(match["labels"]))] = float(match["value"])
    return found


class Meter:
    """The page now, and what has been added since it was made."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._before = series(api)

    def grown(self, name: str, **labels: str) -> float:
        """By how much all series of a name with these labels have grown in sum."""
        wanted = set(labels.items())
        return sum(
            value - self._before.get(key, 0.0)
            for key, value in series(self._api).items()
            if key[0] == NAMES + name and wanted <= key[1]
        )


@pytest.fixture
def meter(rest: Api) -> Iterator[Meter]:
    if rest.call("GET", PATH).status == 404:
        pytest.fail(f"no page at {PATH}: start with --monitoring_config_file")
    return Meter(rest)


def test_each_line_is_a_type_or_a_number(rest: Api, meter: Meter) -> None:
    """Every series follows the line with the type of its metric."""
    types: dict[str, str] = {}
    for line in lines(rest):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("#"):
            name = line.partition("{")[0]
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert name in types or types.get(base) == "histogram", line
    assert types[NAMES + "request_count"] == "counter"
    assert types[NAMES + "request_latency"] == "histogram"


CALLS: dict[str, tuple[Any, str]] = {
    "Predict": (predict_request("numbers", x=X), "OK"),
    "Predict of an unknown model": (predict_request("none", x=X), "NOT_FOUND"),
    "Predict that doesn't fit": (predict_request("numbers", z=X), "INVALID_ARGUMENT"),
    "Predict with an unknown signature": (
        predict_request("numbers", x=X, spec={"signature": "s"}), "FAILED_PRECONDITION",
    ),
    "Classify": (classify_request("examples", TWO, signature="both"), "OK"),
    "Classify that doesn't fit": (
        classify_request("examples", signature="both"), "INVALID_ARGUMENT",
    ),
    "Regress": (regress_request("examples", TWO, signature="flat"), "OK"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_requests_are_counted_by_model_and_status(rest: Api, meter: Meter, name: str) -> None:
    request, status = CALLS[name]
    answer = rest.ask(request)
    assert answer.code == status
    assert meter.grown("request_count", status=status) == 1


def test_the_count_names_the_model(rest: Api, meter: Meter) -> None:
    rest.ask(predict_request("numbers", x=X))
    rest.ask(predict_request("half_plus_two", x=floats([[1]])))
    rest.ask(predict_request("half_plus_two", x=floats([[1]])))
    assert meter.grown("request_count", model_name="numbers", status="OK") == 1
    assert meter.grown("request_count", model_name="half_plus_two", status="OK") == 2


def test_unknown_models_are_counted(rest: Api, meter: Meter, embedded: bool | None) -> None:
    """See differences.UNKNOWN_MODELS."""
    rest.ask(predict_request("none", x=X))
    grown = {
        name: meter.grown("request_count", model_name=name, status="NOT_FOUND")
        for name in ("unknown", "none")
    }
    expected = {True: {"unknown": 1, "none": 0}, False: {"unknown": 0, "none": 1}}
    assert grown in ([expected[embedded]] if embedded is not None else expected.values())


def test_latency_of_successes(rest: Api, meter: Meter) -> None:
    """By model, API and entry point; failures have none."""
    rest.ask(predict_request("numbers", x=X))
    rest.ask(predict_request("numbers", z=X))
    labels = {"model_name": "numbers", "API": "Predict", "entrypoint": "GRPC"}
    assert meter.grown("request_latency_count", **labels) == 1
    assert meter.grown("request_latency_sum", **labels) > 0
    assert meter.grown("request_latency_bucket", **labels, le="+Inf") == 1


@pytest.mark.parametrize("name", ["Predict", "Classify", "Regress"])
def test_latency_by_api(rest: Api, meter: Meter, name: str) -> None:
    rest.ask(CALLS[name][0])
    assert meter.grown("request_latency_count", API=name, entrypoint="GRPC") == 1
    assert meter.grown("runtime_latency_count", API=name) == 1


def test_multi_inference_is_not_counted(rest: Api, meter: Meter) -> None:
    """Neither as a request nor with its latency; its examples are."""
    task = {"model": "examples", "signature": "flat"}
    rest.ask(inference_request([("regress", task)], TWO))
    assert meter.grown("request_count", model_name="examples") == 0
    assert meter.grown("request_latency_count", model_name="examples") == 0
    assert meter.grown("request_example_counts_count", model="examples") == 1


def test_rest_is_another_entry_point(rest: Api, meter: Meter) -> None:
    rest.call("POST", "/v1/models/numbers:predict", {"inputs": X.tolist()})
    rest.call("POST", "/v1/models/none:predict", {"inputs": X.tolist()})
    labels = {"model_name": "numbers", "entrypoint": "REST"}
    assert meter.grown("request_latency_count", **labels) == 1
    assert meter.grown("request_latency_count", model_name="numbers") == 1
    assert meter.grown("runtime_latency_count", model_name="numbers", API="Predict") == 1
    assert meter.grown("request_count", model_name="numbers", status="OK") == 1


def test_buckets(rest: Api, meter: Meter) -> None:
    """33 bounds, from 10 and each 1.8 times the one before, and one without a bound; each counts
    what is below it.
    """
    rest.ask(predict_request("numbers", x=X))
    labels = {("model_name", "numbers"), ("API", "Predict"), ("entrypoint", "GRPC")}
    buckets = {
        dict(key[1])["le"]: value
        for key, value in series(rest).items()
        if key[0] == NAMES + "request_latency_bucket" and labels <= key[1]
    }
    assert len(buckets) == 34
    infinite = buckets.pop("+Inf")
    bounds = sorted(buckets, key=float)
    expected = [10 * 1.8**power for power in range(33)]
    assert [float(bound) for bound in bounds] == pytest.approx(expected, rel=1e-3)
    counts = [buckets[bound] for bound in bounds] + [infinite]
    assert counts == sorted(counts)
    name = NAMES + "request_latency_count"
    assert infinite == next(
        value for key, value in series(rest).items() if key[0] == name and labels <= key[1]
    )


def test_examples_are_counted(rest: Api, meter: Meter) -> None:
    rest.ask(classify_request("examples", TWO, TWO, TWO, signature="both"))
    assert meter.grown("request_example_counts_count", model="examples") == 1
    assert meter.grown("request_example_counts_sum", model="examples") == 3


def test_metadata_and_status_run_nothing(rest: Api, meter: Meter) -> None:
    rest.ask(metadata_request("numbers", "signature_def"))
    rest.call("GET", "/v1/models/numbers")
    assert meter.grown("runtime_latency_count") == 0


def test_other_paths_beside_it(rest: Api, meter: Meter) -> None:
    assert rest.call("GET", "/monitoring").status == 404
    assert rest.call("GET", "/monitoring/prometheus").status == 404
    assert rest.call("GET", PATH + "/x").status == 404
