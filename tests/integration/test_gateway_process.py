"""The gateway as a process: small, quick, without TensorFlow, and orderly at its end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from contract.run_folder import RunFolder
from tests.integration.processes import (
    children,
    environment,
    gateway,
    get,
    memory_mb,
    post,
    system,
    wait_until,
)
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running
from tests.server.test_problems import bomb

pytestmark = pytest.mark.integration
URL = "/v1/models/digits-cnn:classify"


def test_a_worker_is_small_and_loads_no_tensorflow(
    workshop: Path, digits_run: RunFolder, tmp_path: Path
) -> None:
    samples = [sample.file.read_bytes() for sample in digits_run.samples()]
    with system(workshop / "models", ["digits-cnn"], tmp_path) as (process, url):
        for sample in samples * 10:
            assert post(url + URL, sample).status_code == 200
        (worker,) = children(process.process.pid)
        assert memory_mb(worker) < 80
        maps = Path(f"/proc/{worker}/maps").read_text()
        assert "tensorflow" not in maps
        assert "_pywrap" not in maps


def test_the_application_imports_no_tensorflow() -> None:
    code = (
        "import sys\n"
        "from contract.settings import Settings\n"
        "from server.app import create_app\n"
        "create_app(Settings(models=('m',), model_server='127.0.0.1:1'))\n"
        "import server.gateway, server.up, client, lince\n"
        "import client.scoring.over_grpc, client.scoring.over_http\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in"
        " ('tensorflow', 'keras', 'tensorflow_serving', 'sklearn', 'training')]\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (process, url):
        (worker,) = children(process.process.pid)
        assert post(f"{url}/v1/models/pets:classify", picture()).status_code == 200
        before = memory_mb(worker)
        for _ in range(20):
            answer = post(f"{url}/v1/models/pets:classify", bomb())
            assert answer.json()["type"] == "urn:lince:problem:image-too-large"
        assert memory_mb(worker) - before < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_finished_at_the_end(tmp_path: Path, number: int) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}}, delay=2.0)
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (process, url):
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(post(f"{url}/v1/models/pets:classify", picture()))
        )
        asking.start()
        wait_until(
            lambda: any(call[2] == "serving_default" for call in fake.calls), "the call", process
        )
        assert process.stop(number) == 0, process.output()
        asking.join()
        assert [answer.status_code for answer in answers] == [200]
        with pytest.raises(httpx.ConnectError):
            get(f"{url}/livez")


def test_metrics_of_several_workers_are_one(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with (
        running(fake),
        gateway(["pets"], fake.address, tmp_path, LINCE_WORKERS="2") as (process, url),
    ):
        assert len(children(process.process.pid)) == 2
        for _ in range(40):  # a new connection each time, so that both workers get some
            post(f"{url}/v1/models/pets:classify", picture())
        assert classified(url) == 40
        for worker in children(process.process.pid):
            os.kill(worker, signal.SIGKILL)
            break
        wait_until(lambda: len(children(process.process.pid)) == 2, "a new worker", process)
        wait_until(lambda: classified(url) == 40, "what the dead worker had counted", process)


def test_workers_that_die_one_after_another_do_not_end_the_gateway(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (process, url):
        for _ in range(3):
            (worker,) = children(process.process.pid)
            os.kill(worker, signal.SIGKILL)
            wait_until(
                lambda dead=worker: (
                    set(children(process.process.pid)) - {dead} and answers(f"{url}/livez")
                ),
                "a new worker",
                process,
            )
        assert post(f"{url}/v1/models/pets:classify", picture()).status_code == 200
        assert process.stop() == 0, process.output()


def test_workers_that_can_not_begin_end_the_gateway(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    metrics = tmp_path / "metrics"
    with (
        running(fake),
        gateway(["pets"], fake.address, tmp_path, PROMETHEUS_MULTIPROC_DIR=str(metrics)) as (
            process,
            _,
        ),
    ):
        shutil.rmtree(metrics)  # without it no worker can count
        (worker,) = children(process.process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.process.wait(60) == 1, process.output()


def answers(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except httpx.TransportError:
        return False


def classified(url: str) -> float:
    try:
        text = get(f"{url}/metrics").text
    except httpx.TransportError:
        return -1
    line = next(
        (line for line in text.splitlines() if line.startswith('lince_images_total{outcome="cl')),
        " -1",
    )
    return float(line.rpartition(" ")[2])


def test_wrong_settings_are_all_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lince", "gateway"],
        env=environment(LINCE_PORT="http", LINCE_WORKERS="0", LINCE_MODELS="m"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "LINCE_PORT=http" in done.stderr
    assert "LINCE_WORKERS=0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_chunked_body(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (_, url):
        content = picture()
        answer = post(f"{url}/v1/models/pets:classify", [content[:50], content[50:]])
        assert answer.status_code == 200


def test_a_body_that_breaks_off_harms_nobody(tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port))) as half:
                half.sendall(
                    b"POST /v1/models/pets:classify HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: 1000\r\n\r\nonly this"
                )
        answer = post(f"{url}/v1/models/pets:classify", picture())
        assert answer.status_code == 200
