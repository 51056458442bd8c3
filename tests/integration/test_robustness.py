"""The gateway under those who are slow, too many, or in a hurry, and when it has to stop."""

import concurrent.futures
import contextlib
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from server.ports import free_port
from tests.integration.processes import (
    Running,
    gateway,
    get,
    model_server,
    post,
    wait_until,
)
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration
URL = "/v1/models/pets:classify"


@pytest.fixture
def fake() -> Iterator[FakeModelServer]:
    with running(FakeModelServer({"pets": {1: make_manifest()}})) as server:
        yield server


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def test_callers_that_trickle_stop_nobody(fake: FakeModelServer, tmp_path: Path) -> None:
    limits = {"LINCE_THREADS": "2", "LINCE_MAX_WAITING": "2", "LINCE_BODY_SECONDS": "4"}
    with gateway(["pets"], fake.address, tmp_path, **limits) as (_, url):
        slow = [socket.create_connection(address(url)) for _ in range(100)]
        for connection in slow:
            connection.sendall(
                f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nabc".encode()
            )
        for _ in range(20):
            assert post(url + URL, picture()).status_code == 200
        for connection in slow:
            assert b" 408 " in connection.recv(1000)
            connection.close()


def test_over_the_limit_callers_are_told_when_to_come_again(
    fake: FakeModelServer, tmp_path: Path
) -> None:
    fake.delay = 1.0
    limits = {"LINCE_THREADS": "2", "LINCE_MAX_WAITING": "2"}
    with (
        gateway(["pets"], fake.address, tmp_path, **limits) as (_, url),
        concurrent.futures.ThreadPoolExecutor(12) as pool,
    ):
        answers = list(pool.map(lambda _: post(url + URL, picture()), range(12)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert sum(answer.status_code == 200 for answer in answers) + len(refused) == 12
        assert 4 <= len(refused) <= 8
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert {answer.json()["type"] for answer in refused} == {"urn:lince:problem:overloaded"}
        assert get(f"{url}/livez").status_code == 200


def test_the_callers_deadline_reaches_the_model_server(
    fake: FakeModelServer, tmp_path: Path
) -> None:
    fake.delay = 20.0
    with (
        gateway(["pets"], fake.address, tmp_path) as (_, url),
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        began = time.monotonic()
        answer = client.post(URL, content=picture(), headers={"X-Request-Timeout": "0.5"})
        assert answer.status_code == 504
        assert answer.json()["retryable"]
        assert time.monotonic() - began < 10  # neither the 20 s of the model nor of the setting
        assert min(fake.patience) <= 0.5


def test_a_call_that_could_not_be_delivered_is_repeated(
    fake: FakeModelServer, tmp_path: Path
) -> None:
    with gateway(["pets"], fake.address, tmp_path, LINCE_REFRESH_SECONDS="3600") as (_, url):
        assert post(url + URL, picture()).status_code == 200
        fake.fail_next = [grpc.StatusCode.UNAVAILABLE] * 2
        assert post(url + URL, picture()).status_code == 200
        fake.fail_next = [grpc.StatusCode.INTERNAL]
        assert post(url + URL, picture()).status_code == 502
        assert fake.fail_next == []


def test_a_model_server_that_hangs_is_left_alone_for_a_while(
    fake: FakeModelServer, tmp_path: Path
) -> None:
    # It goes on to say which version is the newest: only its runs hang.
    limits = {"LINCE_TIMEOUT_SECONDS": "1", "LINCE_REFRESH_SECONDS": "0.1"}
    with gateway(["pets"], fake.address, tmp_path, **limits) as (_, url):
        assert post(url + URL, picture()).status_code == 200
        fake.delay = 20.0
        statuses = [post(url + URL, picture()).status_code for _ in range(3)]
        assert statuses == [504, 504, 503]
        fake.delay = 0.0
        wait_until(lambda: post(url + URL, picture()).status_code == 200, "recovery")


def test_it_says_that_it_stops_before_it_stops(fake: FakeModelServer, tmp_path: Path) -> None:
    with gateway(["pets"], fake.address, tmp_path, LINCE_DRAIN_DELAY_SECONDS="3") as (process, url):
        assert get(f"{url}/readyz").status_code == 200
        process.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(f"{url}/readyz").status_code == 503, "the readiness", process)
        answer = post(url + URL, picture())
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        assert get(f"{url}/livez").status_code == 200
        assert process.process.wait(60) == 0


class Load:
    """Callers that ask again and again, each request with an id of its own.

    Attributes:
        answered: the ids that got a whole answer, and its status.
    """

    def __init__(self, url: str, callers: int) -> None:
        self.answered: dict[str, int] = {}
        self._url = url
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(callers)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        count = 0
        content = picture()
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._end.is_set():
                count += 1
                name = f"{number}-{count}"
                with contextlib.suppress(httpx.TransportError):
                    answer = client.post(URL, content=content, headers={"X-Request-Id": name})
                    self.answered[name] = answer.status_code
                    continue
                time.sleep(0.01)


@pytest.mark.parametrize(
    "stops", [3, pytest.param(50, marks=pytest.mark.slow)], ids=["a-few", "50"]
)
def test_no_request_is_lost_when_it_stops(
    fake: FakeModelServer, tmp_path: Path, stops: int
) -> None:
    fake.delay = 0.01
    for stop in range(stops):
        folder = tmp_path / str(stop)
        folder.mkdir()
        workers = {"LINCE_WORKERS": str(1 + stop % 2)}
        with (
            gateway(["pets"], fake.address, folder, **workers) as (process, url),
            Load(url, 8) as load,
        ):
            wait_until(lambda load=load: len(load.answered) > 30, "some answers", process)
            time.sleep(random.random() / 10)
            assert process.stop() == 0
        worked_on = {
            line["request_id"]: line["status"]
            for line in map(json.loads, json_lines(process))
            if line.get("route", "").endswith(":classify")
        }
        assert len(worked_on) > 30
        assert set(worked_on.values()) == {200}
        assert worked_on.items() <= load.answered.items()


def json_lines(process: Running) -> list[str]:
    return [line for line in process.output().splitlines() if line.startswith("{")]


def ask_until_answered(url: str, content: bytes, failures: list[str]) -> None:
    """One caller's request, repeated as Retry-After says; what it was told otherwise is noted."""
    with httpx.Client(timeout=60) as client:
        for _ in range(60):
            answer = client.post(url, content=content)
            if answer.status_code == 200:
                return
            if answer.status_code not in (503, 504) or "retry-after" not in answer.headers:
                failures.append(answer.text)
                return
            time.sleep(float(answer.headers["retry-after"]))
    failures.append("no answer at all")


@pytest.mark.parametrize(
    "kills", [1, pytest.param(5, marks=pytest.mark.slow)], ids=["once", "5-times"]
)
def test_a_model_server_that_dies_and_comes_back(
    workshop: Path, digits_run: object, tmp_path: Path, kills: int
) -> None:
    samples = [sample.file.read_bytes() for sample in digits_run.samples()]  # type: ignore[attr-defined]
    port = free_port()
    end, failures = threading.Event(), []

    def caller(number: int, url: str) -> int:
        count = 0
        while not end.is_set():
            ask_until_answered(url, samples[(number + count) % len(samples)], failures)
            count += 1
        return count

    def start(stack: contextlib.ExitStack) -> Running:
        server, _ = stack.enter_context(
            model_server(workshop / "models", ["digits-cnn"], tmp_path, port=port)
        )
        return server

    with contextlib.ExitStack() as stack:
        server = start(stack)
        _, url = stack.enter_context(gateway(["digits-cnn"], f"127.0.0.1:{port}", tmp_path))
        url += "/v1/models/digits-cnn:classify"
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            callers = [pool.submit(caller, number, url) for number in range(16)]
            for _ in range(kills):
                time.sleep(1)
                server.stop(signal.SIGKILL)
                time.sleep(1)
                server = start(stack)
                wait_until(lambda: post(url, samples[0]).status_code == 200, "full service")
            end.set()
            counts = [call.result() for call in callers]
    assert failures == []
    assert min(counts) > 0
