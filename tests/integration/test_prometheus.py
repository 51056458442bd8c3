"""A real Prometheus scrapes a real gateway, and its linter has nothing to say."""

import subprocess
from pathlib import Path

import httpx
import pytest

from server.ports import free_port
from tests.integration.processes import answers, gateway, get, post, started, wait_until
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.programs import require
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration


def test_prometheus_reads_the_metrics(tmp_path: Path) -> None:
    prometheus = require("prometheus")
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    own = free_port()
    variables = {"LINCE_METRICS_PORT": str(own), "LINCE_WORKERS": "2"}
    with running(fake), gateway(["pets"], fake.address, tmp_path, **variables) as (_, url):
        for _ in range(3):
            post(f"{url}/v1/models/pets:classify", picture())
        target, port = f"127.0.0.1:{own}", free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "scrape_configs:\n  - job_name: lince\n    scrape_interval: 200ms\n"
            f"    scrape_timeout: 200ms\n    static_configs: [{{targets: ['{target}']}}]\n"
        )
        command = [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with started(command, tmp_path / "prometheus.log") as process:
            api = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{api}/-/ready"), "Prometheus", process)

            def value(query: str) -> str | None:
                answer = httpx.get(f"{api}/api/v1/query", params={"query": query}).json()
                found = answer["data"]["result"]
                return found[0]["value"][1] if found else None

            wait_until(lambda: value('up{job="lince"}') == "1", "the first scrape", process)
            wait_until(
                lambda: value('sum(lince_images_total{outcome="classified"})') == "3",
                "what was counted",
                process,
            )
            for query, expected in (
                ("lince_workers", "2"),
                ('lince_model_info{model="pets", version="1"}', "1"),
                ("sum(lince_image_pixels_count)", "3"),
                ('histogram_quantile(1, lince_prediction_confidence_bucket{model="pets"})', "0.9"),
            ):
                wait_until(lambda q=query, e=expected: _near(value(q), e), query, process)


def _near(value: str | None, expected: str) -> bool:
    return value is not None and abs(float(value) - float(expected)) < 1e-6


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    promtool = require("promtool")
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (_, url):
        post(f"{url}/v1/models/pets:classify", picture())
        text = get(f"{url}/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
