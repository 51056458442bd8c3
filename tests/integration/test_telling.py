"""What processes write about themselves: logs, the prediction log, traces."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from server.prediction_log import PredictionLog
from tests.integration.processes import gateway, post
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running
from tests.server.test_prediction_log import lines, prediction
from tests.server.test_trace_context import GOOD, TRACE

pytestmark = pytest.mark.integration
URL = "/v1/models/pets:classify"

PROGRAM = """
import logging, threading, warnings
from server import logs
logs.set_up("{level}")
logging.getLogger("library").debug("quiet")
logging.getLogger("library").info("told")
logging.getLogger("PIL").debug("tags")
warnings.warn("old")
logging.getLogger("library").error("failed", exc_info=ValueError("why"))
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("at the end")
"""


@pytest.mark.parametrize(("level", "told"), [("info", True), ("warning", False), ("debug", True)])
def test_whatever_is_said_is_json(level: str, told: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level)],
        capture_output=True,
        text=True,
    )
    found = [json.loads(text) for text in done.stdout.splitlines()]
    assert done.returncode == 1
    assert done.stderr == ""
    assert [entry["message"] for entry in found if entry["level"] == "info"] == ["told"] * told
    assert any("UserWarning: old" in entry["message"] for entry in found)
    assert any("ValueError: why" in entry.get("exception", "") for entry in found)
    assert any("ZeroDivisionError" in entry.get("exception", "") for entry in found)
    assert "RuntimeError: at the end" in found[-1]["exception"]
    assert not any("tags" in entry["message"] for entry in found)


WRITER = """
import sys
from pathlib import Path
from server.prediction_log import PredictionLog
from tests.server.test_prediction_log import prediction
log = PredictionLog(Path(sys.argv[1]), 1.0)
for number in range(int(sys.argv[3])):
    log.write([prediction(f"{sys.argv[2]}-{number}", top=100)])
"""


def test_lines_of_several_processes_and_threads_stay_whole(tmp_path: Path) -> None:
    path, each = tmp_path / "log", 200
    command = [sys.executable, "-c", WRITER, str(path)]
    processes = [subprocess.Popen([*command, str(number), str(each)]) for number in range(2)]
    log = PredictionLog(path, 1.0)
    threads = [threading.Thread(target=_write, args=(log, n, each)) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    log.close()
    found = sorted(line["request_id"] for line in lines(path))
    assert found == sorted(f"{writer}-{number}" for writer in range(4) for number in range(each))


def _write(log: PredictionLog, writer: int, count: int) -> None:
    for number in range(count):
        log.write([prediction(f"{writer}-{number}", top=100)])


def classify(url: str, **headers: str) -> httpx.Response:
    with httpx.Client(verify=False, timeout=60) as client:
        return client.post(f"{url}{URL}", content=picture(), headers=headers)


def test_the_gateway_s_log_is_json(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (process, url):
        answer = classify(url, traceparent=GOOD, **{"X-Request-Id": "mine"})
        post(f"{url}{URL}", b"no image")
        assert process.stop() == 0
        start, *log = process.output().splitlines()
        assert start.startswith("gateway: ")
        found = [json.loads(line) for line in log]
    mine = [line for line in found if line.get("request_id") == "mine"]
    assert [line["message"] for line in mine] == ["answered"]
    assert mine[0]["trace_id"] == TRACE
    assert (mine[0]["status"], mine[0]["model"], mine[0]["version"]) == (200, "pets", 1)
    assert answer.headers["traceresponse"].startswith(f"00-{TRACE}-")
    assert any(line.get("problem") == "not-an-image" for line in found)


def test_access_lines_can_be_left_out(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    variables = {"LINCE_ACCESS_LOG": "0", "LINCE_LOG_LEVEL": "warning"}
    with running(fake), gateway(["pets"], fake.address, tmp_path, **variables) as (process, url):
        assert classify(url).status_code == 200
        assert process.stop() == 0
        assert '"status":200' not in process.output()


def test_predictions_are_logged(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    path = tmp_path / "predictions.jsonl"
    variables = {"LINCE_PREDICTION_LOG": str(path), "LINCE_WORKERS": "2"}
    with running(fake), gateway(["pets"], fake.address, tmp_path, **variables) as (_, url):
        labels = [classify(url).json()["results"][0]["label"] for _ in range(10)]
        assert [line["label"] for line in lines(path)] == labels


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OpenTelemetry collector; gives its address and the spans that arrived."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()


def test_spans_are_exported_also_at_the_end(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with (
        running(fake),
        collector() as (endpoint, spans),
        gateway(["pets"], fake.address, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as (
            process,
            url,
        ),
    ):
        assert classify(url, traceparent=GOOD).status_code == 200
        assert process.stop() == 0, process.output()
        names = {span.name for span in spans if span.trace_id.hex() == TRACE}
        assert {"POST /v1/models/<name>:classify", "decode", "predict"} <= names
