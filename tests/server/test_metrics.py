"""The table of metrics, and what is counted where."""

import math
import re

import numpy as np
import pytest

from server import metrics, timing
from tests.server.figures import Growth, figure

# https://prometheus.io/docs/practices/naming/
UNITS = ("_seconds", "_bytes", "_total", "_info")
WITHOUT_A_UNIT = {
    "lince_http_requests_in_progress",
    "lince_queue_depth",
    "lince_image_pixels",
    "lince_prediction_confidence",
    "lince_prediction_entropy",
    "lince_breaker_state",
    "lince_model_version",
    "lince_model_available",
    "lince_workers",
    "lince_drift_score",
    "lince_drift_images",
}


def test_names_follow_the_conventions() -> None:
    names = [row.name for row in metrics.table()]
    assert len(set(names)) == len(names)
    for row in metrics.table():
        assert re.fullmatch(r"lince(_[a-z0-9]+)+", row.name)
        assert row.name.endswith(UNITS) or row.name in WITHOUT_A_UNIT, row.name
        assert all(re.fullmatch(r"[a-z0-9_]+", label) for label in row.labels)
        assert row.text[0].isupper() or row.text[0] in "1X"


def test_an_answered_request() -> None:
    labels = {"route": "/r", "method": "POST", "code": "200"}
    count = Growth("lince_http_requests_total", **labels)
    quick = Growth("lince_http_request_duration_seconds_bucket", route="/r", le="0.02")
    metrics.request_answered("/r", "POST", 200, 0.015)
    metrics.request_answered("/r", "POST", 200, 0.5)
    assert (count(), quick()) == (2, 1)


@pytest.mark.parametrize(("method", "label"), [("GET", "GET"), ("BREW", "other"), ("get", "other")])
def test_methods_are_a_closed_set(method: str, label: str) -> None:
    count = Growth("lince_http_requests_total", route="/m", method=label, code="405")
    metrics.request_answered("/m", method, 405, 0.0)
    assert count() == 1


def test_a_classification() -> None:
    of_version = {"model": "birds", "version": "7"}
    owls = Growth("lince_predictions_total", label="owl", **of_version)
    sure = Growth("lince_prediction_confidence_bucket", le="0.9", **of_version)
    spread = Growth("lince_prediction_entropy_sum", **of_version)
    rows = np.array([[0.05, 0.95], [0.5, 0.5], [1.0, 0.0]], np.float32)
    metrics.answered("birds", 7, ("jay", "owl"), rows)
    assert owls() == 1  # of equals the first counts
    assert sure() == 1
    assert spread() == pytest.approx(sum(metrics.entropy_shares(rows)), abs=1e-6)


def test_entropy_is_a_share() -> None:
    rows = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], np.float32)
    assert metrics.entropy_shares(rows) == pytest.approx([0, 1, 0.5], abs=1e-6)


def test_late_classes_are_others() -> None:
    labels = tuple(f"c{number}" for number in range(metrics.MOST_LABELS + 2))
    others = Growth("lince_predictions_total", model="many", version="1", label=metrics.OTHERS)
    last = Growth("lince_predictions_total", model="many", version="1", label="c199")
    rows = np.eye(len(labels), dtype=np.float32)[[199, 200, 201]]
    metrics.answered("many", 1, labels, rows)
    assert (others(), last()) == (2, 1)


def test_versions_without_end_are_others() -> None:
    for number in range(metrics.MOST_VERSIONS):
        assert metrics.version_label("endless", number) == str(number)
    assert metrics.version_label("endless", 10_000) == metrics.OTHERS
    assert metrics.version_label("endless", 3) == "3"
    assert metrics.version_label("endless", None) == "unpinned"


def test_versions_that_callers_invent_take_no_labels() -> None:
    for number in range(2 * metrics.MOST_VERSIONS):
        metrics.backend_called("invented", number, "NOT_FOUND", 0.001)
    metrics.backend_called("invented", 10_000, "OK", 0.001)
    unknown = {"model": "invented", "version": "unknown", "code": "NOT_FOUND"}
    assert figure("lince_backend_requests_total", **unknown) == 2 * metrics.MOST_VERSIONS
    real = {"model": "invented", "version": "10000", "code": "OK"}
    assert figure("lince_backend_requests_total", **real) == 1


def test_a_decoded_image() -> None:
    known = Growth("lince_image_formats_total", format="PNG", mode="RGBA")
    unknown = Growth("lince_image_formats_total", format="unknown", mode="unknown")
    rotated, pixels = Growth("lince_exif_rotated_total"), Growth("lince_image_pixels_sum")
    metrics.image_decoded("PNG", "RGBA", 100, rotated=False)
    metrics.image_decoded("<script>", "of a new decoder", 20, rotated=True)
    assert (known(), unknown(), rotated(), pixels()) == (1, 1, 1, 120)


def test_only_refusals_are_rejections() -> None:
    overloaded = Growth("lince_rejected_total", reason="overloaded")
    metrics.rejected("overloaded")
    metrics.rejected("not-an-image")
    assert overloaded() == 1
    assert figure("lince_rejected_total", reason="not-an-image") is None


def test_counters_that_may_stay_0_are_shown() -> None:
    metrics.begin()
    assert figure("lince_rejected_total", reason="breaker-open") is not None
    assert figure("lince_workers") == 1


def test_the_newest_version_of_a_model() -> None:
    metrics.model_seen("pets", 1, "aa")
    metrics.model_seen("pets", 2, "bb")
    assert figure("lince_model_version", model="pets") == 2
    assert figure("lince_model_available", model="pets", version="1") == 0
    assert figure("lince_model_available", model="pets", version="2") == 1
    assert figure("lince_model_info", model="pets", version="1", manifest_sha256="aa") is None
    assert figure("lince_model_info", model="pets", version="2", manifest_sha256="bb") == 1
    metrics.model_seen("pets", 2, "cc")  # published anew under its number
    assert figure("lince_model_info", model="pets", version="2", manifest_sha256="bb") is None
    assert figure("lince_model_available", model="pets", version="2") == 1
    metrics.model_gone("pets")
    metrics.model_gone("pets")
    assert figure("lince_model_version", model="pets") == 0
    assert figure("lince_model_available", model="pets", version="2") == 0
    metrics.model_seen("pets", 2, "cc")
    assert figure("lince_model_info", model="pets", version="2", manifest_sha256="cc") == 1


def test_the_breaker_is_in_one_state() -> None:
    def states() -> dict[str, float | None]:
        return {
            state: figure("lince_breaker_state", model="b", state=state)
            for state in metrics.BREAKER_STATES
        }

    metrics.breaker_is("b", "open")
    assert states() == {"closed": 0, "open": 1, "half-open": 0}
    metrics.breaker_is("b", "closed")
    assert states() == {"closed": 1, "open": 0, "half-open": 0}


def test_who_waits_is_counted_until_the_wait_ends() -> None:
    depth = Growth("lince_queue_depth")
    first, second = metrics.Waiting(), metrics.Waiting()
    assert depth() == 2
    first.ends()
    first.ends()
    assert depth() == 1
    second.ends()
    assert depth() == 0


def test_a_stage_counts_also_when_it_fails() -> None:
    count = Growth("lince_stage_duration_seconds_count", stage="read")
    with pytest.raises(ZeroDivisionError), timing.stage("read"):
        _ = 1 / 0
    assert count() == 1


def test_calls_of_the_model_server() -> None:
    calls = Growth("lince_backend_requests_total", model="pets", version="2", code="OK")
    seconds = Growth("lince_backend_request_duration_seconds_sum", model="pets", version="2")
    metrics.backend_called("pets", 2, "OK", 0.25)
    assert (calls(), seconds()) == (1, 0.25)
    assert not math.isnan(seconds())
