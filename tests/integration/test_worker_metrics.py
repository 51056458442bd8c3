"""The metrics of several worker processes, some of which are killed."""

import base64
import json
import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.distribution import measure
from contract.manifest import ReferenceDistribution
from server.ports import free_port
from tests.integration.processes import children, gateway, get, post, wait_until
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration
URL = "/v1/models/pets:classify"


def figure(url: str, name: str, **labels: str) -> float | None:
    """A sample's value; None if there is none, or nobody to ask."""
    try:
        text = get(f"{url}/metrics").text
    except httpx.TransportError:
        return None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_killed_workers_leave_their_sums_and_nothing_else(tmp_path: Path) -> None:
    folder, port = tmp_path / "metrics", free_port()
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    variables = {
        "LINCE_WORKERS": "2",
        "LINCE_METRICS_PORT": str(port),
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }
    with running(fake), gateway(["pets"], fake.address, tmp_path, **variables) as (process, url):
        own = f"http://127.0.0.1:{port}"
        assert get(f"{url}/metrics").status_code == 404
        for _ in range(10):
            assert post(f"{url}{URL}", picture()).status_code == 200
        assert figure(own, "lince_images_total", outcome="classified") == 10
        fake.delay = 3.0
        threading.Thread(target=_in_vain, args=(f"{url}{URL}",), daemon=True).start()
        wait_until(
            lambda: figure(own, "lince_http_requests_in_progress") == 1, "a request", process
        )
        fake.delay = 0.0
        before = set(children(process.process.pid))
        for worker in before:  # once: granian gives up a worker that dies again within seconds
            os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: (
                not before & set(children(process.process.pid))
                and figure(own, "lince_workers") == 2
            ),
            "new workers",
            process,
        )
        assert figure(own, "lince_images_total", outcome="classified") == 10
        assert figure(own, "lince_http_requests_in_progress") == 0
        assert post(f"{url}{URL}", picture()).status_code == 200
        assert figure(own, "lince_images_total", outcome="classified") == 11
        pids = {path.stem.rpartition("_")[2] for path in folder.glob("*_*.db")}
        assert pids == {"0", *map(str, children(process.process.pid))}


def _in_vain(url: str) -> None:
    with suppress(httpx.TransportError):
        post(url, picture())


def test_drift_is_of_all_workers(tmp_path: Path) -> None:
    bright = np.full((1000, 8, 8, 3), 250, np.uint8)
    usual = measure(np.eye(3, dtype=np.float32)[np.zeros(1000, int)], bright)
    manifest = replace(make_manifest(), reference_distribution=ReferenceDistribution(test=usual))
    fake = FakeModelServer({"pets": {1: manifest}})
    asked = {"images": [base64.b64encode(picture()).decode()] * 32}
    with running(fake), gateway(["pets"], fake.address, tmp_path, LINCE_WORKERS="2") as (_, url):
        for _ in range(20):
            with httpx.Client(verify=False, timeout=60) as client:
                answer = client.post(f"{url}{URL}", content=json.dumps(asked), headers=JSON)
                assert answer.status_code == 200
        labels = {"model": "pets", "version": "1"}
        assert figure(url, "lince_drift_images", **labels) == 640
        score = figure(url, "lince_drift_score", feature="brightness", **labels)
        assert score is not None
        assert score > 1


JSON = {"Content-Type": "application/json"}
