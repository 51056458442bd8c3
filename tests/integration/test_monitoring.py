"""A real Prometheus, by the repository's rules: queries have data, alerts fire for a cause."""

import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from monitoring.queries import dashboards, filled, rules
from tests.deploy.test_monitoring import selectors
from tests.integration.monitored import MODEL, RATE, Monitored, load, monitored
from tests.integration.processes import PATIENCE, wait_until

pytestmark = pytest.mark.integration

#: What a sound system on one machine has no data of: a text in the query, and why.
NO_DATA = {
    "kube_pod_": "kube-state-metrics is a part of Kubernetes",
    "container_cpu_": "cAdvisor is a part of Kubernetes",
    "container_memory_": "cAdvisor is a part of Kubernetes",
    'status="fail"': "no version failed to load",
    "DEADLINE_EXCEEDED": "no call took too long, and none failed otherwise",
    'code="UNAVAILABLE"': "the model server was always there",
    "lince_backend_retries_total": "no call had to be repeated",
    "lince_http_errors:increase1h": "no request failed",
}
#: Alerts that may fire at any time: a busy machine is slow, and noise drifts from digits.
EXPECTED = {"LinceLatencyBurnFast", "LinceLatencyBurnSlow", "LinceP99High", "LinceCanarySlower"}
EXPECTED |= {"LinceBatchQueueSlow", "LinceModelCallsTimingOut", "LinceTargetFlapping", "LinceDrift"}


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboards and of the recording rules. Of alerts, which give nothing while
    all is well, what they are worked out from.
    """
    for name, panels in dashboards().items():
        for panel in panels:
            for target in panel.targets:
                yield f"{name}: {panel.title}", filled(target.expression, rate=RATE)
    for rule in rules():
        if not rule.alert:
            yield rule.name, rule.name
            continue
        for selector in selectors(rule.expression):
            text = re.sub(r" offset \w+", "", str(selector))
            yield rule.name, text


@pytest.fixture
def samples(digits_run: RunFolder) -> list[bytes]:
    return [sample.file.read_bytes() for sample in digits_run.samples()]


@pytest.fixture
def system(workshop: Path, tmp_path: Path) -> Iterator[Monitored]:
    with monitored(workshop / "models" / MODEL / "1", tmp_path) as running:
        yield running


def test_every_query_has_data(system: Monitored, samples: list[bytes]) -> None:
    asked = set(queries())
    assert [part for part in NO_DATA if not any(part in query for _, query in asked)] == []
    expected = {
        (where, query) for where, query in asked if not any(part in query for part in NO_DATA)
    }
    with load(system.url, samples) as statuses:
        wait_until(lambda: system.prometheus.now("lince_drift_score"), "500 images of a version")
        until, missing = time.monotonic() + PATIENCE, expected
        while missing and time.monotonic() < until:
            time.sleep(1)
            missing = {each for each in missing if not system.prometheus.now(each[1])}
        firing = set(system.prometheus.firing())
    assert missing == set()
    assert firing <= EXPECTED
    assert set(statuses) == {200, 400, 404}


@pytest.mark.slow
def test_alerts_are_provoked(system: Monitored, samples: list[bytes]) -> None:
    with load(system.url, samples):
        _publish_a_bad_version(system)
        _kill_the_model_server(system)
        _slow_the_model_server(system)
        system.wait_for_end("LinceModelLoadFailed")


def _publish_a_bad_version(system: Monitored) -> None:
    folder = system.models / MODEL / "3"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"this is no graph")
    notes = system.wait_for("LinceModelLoadFailed")["LinceModelLoadFailed"]
    assert f"{MODEL}/3" in notes["description"]
    assert notes["runbook_url"] == "https://docs.example/docs/runbook.md#lincemodelloadfailed"
    assert not set(system.prometheus.firing()) - EXPECTED - {"LinceModelLoadFailed"}
    shutil.rmtree(folder)


def _kill_the_model_server(system: Monitored) -> None:
    system.kill()
    caused = ("LinceModelServerDown", "LinceModelServerUnreachable", "LinceAvailabilityBurnFast")
    notes = system.wait_for(*caused, "LinceBreakerOpen")
    assert MODEL in notes["LinceModelServerUnreachable"]["description"]
    system.restart()
    system.wait_for_end(*caused, "LinceBreakerOpen")


def _slow_the_model_server(system: Monitored) -> None:
    with _stopping_again_and_again(system):
        system.wait_for("LinceLatencyBurnFast")
    system.wait_for_end("LinceLatencyBurnFast")


@contextmanager
def _stopping_again_and_again(system: Monitored) -> Iterator[None]:
    end = threading.Event()

    def stop_and_go() -> None:
        while not end.is_set():
            system.signal(signal.SIGSTOP)
            time.sleep(0.8)
            system.signal(signal.SIGCONT)
            time.sleep(0.3)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
