"""API keys and rates of a gateway that runs: several workers, no restarts, kills at any moment."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.integration.processes import children, gateway, run, wait_until
from tests.manifests import make_manifest
from tests.server.fake_model_server import FakeModelServer, running
from tests.server.security.helpers import keys_in, made

pytestmark = pytest.mark.integration
URL = "/v1/models/pets:classify"


@pytest.fixture
def fake() -> Iterator[FakeModelServer]:
    with running(FakeModelServer({"pets": {1: make_manifest()}})) as server:
        yield server


def ask(url: str, secret: str, path: str = "/v1/models") -> int:
    """Asks over a connection of its own, so that any worker may answer."""
    with httpx.Client(verify=False, timeout=60) as client:
        return client.get(url + path, headers={"X-API-Key": secret}).status_code


def test_workers_count_together(fake: FakeModelServer, tmp_path: Path) -> None:
    secret, key = made("busy", 0.5, 20)
    file = keys_in(tmp_path / "keys.json", key)
    variables = {"LINCE_WORKERS": "2", "LINCE_API_KEYS_FILE": str(file)}
    with gateway(["pets"], fake.address, tmp_path, **variables) as (process, url):
        since = time.monotonic()
        granted = [ask(url, secret) for _ in range(60)].count(200)
        assert 20 <= granted <= 21 + 0.5 * (time.monotonic() - since)
        # A worker that dies takes nothing of the count with it, and holds nobody up.
        for worker in children(process.process.pid):
            subprocess.run(["kill", "-9", str(worker)], check=True)
            wait_until(partial(all_answer, url, "", 200, "/livez"), "the other worker", process)
        granted += [ask(url, secret) for _ in range(60)].count(200)
        assert granted <= 21 + 0.5 * (time.monotonic() - since)
        assert secret not in process.output()
        assert '"busy"' in process.output()


def all_answer(url: str, secret: str, status: int, path: str = "/v1/models") -> bool:
    """Whether every worker, by all that one can see, answers with a status."""
    try:
        return all(ask(url, secret, path) == status for _ in range(10))
    except httpx.HTTPError:
        return False


def test_keys_change_without_a_restart(fake: FakeModelServer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old = run("key", "new", "old", "--file", str(file)).stdout.strip()
    variables = {"LINCE_WORKERS": "2", "LINCE_API_KEYS_FILE": str(file)}
    with gateway(["pets"], fake.address, tmp_path, **variables) as (process, url):
        assert ask(url, old) == 200
        assert ask(url, "") == 401
        new = run("key", "new", "new", "--file", str(file)).stdout.strip()
        assert run("key", "revoke", "old", "--file", str(file)).returncode == 0
        for secret, status in ((new, 200), (old, 401)):
            wait_until(partial(all_answer, url, secret, status), "the change", process)
        file.write_text("{")
        wait_until(lambda: ask(url, new) and "line 1" in process.output(), "a complaint", process)
        assert ask(url, new) == 200
        assert process.process.poll() is None


def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text('{"keys":\n[{"name": "a b"}]}')
    done = run("gateway", LINCE_MODELS="pets", LINCE_API_KEYS_FILE=str(file), LINCE_PORT="18999")
    assert done.returncode == 1
    assert f"{file}: " in done.stderr
    assert "keys[0].name" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_does_not_wait_for_the_body(fake: FakeModelServer, tmp_path: Path) -> None:
    secret, key = made("slow", 0.001, 1)
    variables = {"LINCE_API_KEYS_FILE": str(keys_in(tmp_path / "keys.json", key))}
    with gateway(["pets"], fake.address, tmp_path, **variables) as (_, url):
        assert ask(url, secret) == 200

        for header, status in (("", 401), (secret, 429)):
            head = (
                f"POST {URL} HTTP/1.1\r\nHost: x\r\nX-API-Key: {header}\r\n"
                "Content-Length: 100000\r\n\r\nabc"
            )
            answer = raw(url, head.encode())
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"x-content-type-options: nosniff" in answer.lower()


def raw(url: str, request: bytes) -> bytes:
    """Sends bytes and returns the first that come back."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(10_000)


SHARED = """
import os, signal, time
from server.security.key_file import digest
from server.security.rates import Buckets, Rate

doomed = False

def clock():
    if doomed:  # with the lock in its hands
        os.kill(os.getpid(), signal.SIGKILL)
    return time.monotonic()

buckets, rate, key = Buckets(clock), Rate(0.001, 1000), digest("key")
if os.fork() == 0:
    doomed = True
    buckets.take(key, rate)
assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
for _ in range(4):
    if os.fork() == 0:
        os._exit(sum(buckets.take(key, rate) == 0 for _ in range(400)) // 8)
print(sum(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)) * 8)
"""


def test_forked_processes_share_buckets_and_survive_each_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHARED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert 1000 - 32 <= int(done.stdout) <= 1000
