"""Real processes on free loopback ports, ended with the test."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from server.ports import free_port

# Who starts the tests in the background may have them, and so us, ignore Ctrl-C. Not as Popen's
# preexec_fn: that forks, which gRPC, in the tests' own process, does not always survive.
_HEEDING_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)
LINCE = (sys.executable, "-m", "lince")
#: Long enough for a busy machine; what waits returns as soon as it can.
PATIENCE = 120.0


@dataclass(frozen=True)
class Running:
    """A process and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def wait_until(condition: Callable[[], Any], what: str, running: Running | None = None) -> Any:
    """Waits until a condition holds and returns its value; fails if the process ends first."""
    until, pause = time.monotonic() + PATIENCE, 0.001
    while not (value := condition()):
        if running is not None and running.process.poll() is not None:
            raise AssertionError(f"{what} ended: {running.output()}")
        if time.monotonic() > until:
            output = running.output() if running else ""
            raise AssertionError(f"{what}: nothing within {PATIENCE:.0f} s\n{output}")
        time.sleep(pause)
        pause = min(0.02, 2 * pause)
    return value


def environment(**variables: str) -> dict[str, str]:
    """The environment without the LINCE_* variables of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINCE_")}
    return {**kept, "LINCE_MODEL_SERVER_PROGRAM": program_under_test(), **variables}


def programs() -> list[str]:
    """The model servers that the tests run against: the embedded one, and the real one if it is
    on PATH.
    """
    real = shutil.which("tensorflow_model_server")
    return ["embedded", *([real] if real else [])]


def program_under_test() -> str:
    return os.environ.get("LINCE_TEST_MODEL_SERVER", "embedded")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `lince` to its end."""
    return subprocess.run(
        [*LINCE, *arguments], env=environment(**variables), capture_output=True, text=True
    )


def run_all(
    commands: Iterable[Sequence[str]], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs several commands of `lince` in one process, so that TensorFlow is loaded once."""
    script = (
        "import json, sys, lince\n"
        "for words in json.loads(sys.argv[1]): lince.cli(words, standalone_mode=False)"
    )
    return subprocess.run(
        [sys.executable, "-c", script, json.dumps([list(words) for words in commands])],
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


@contextmanager
def started(command: Sequence[str], log: Path, **variables: str) -> Iterator[Running]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _HEEDING_CTRL_C, *command],
            env=environment(**variables),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    process.args = list(command)  # what is shown of it
    running = Running(process, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def model_server(
    models: Path, names: Sequence[str], scratch: Path, *more: str, port: int | None = None
) -> Iterator[tuple[Running, str]]:
    """The model server under test, with more flags; gives it and its address."""
    from server.up import model_config

    config = scratch / "models.config"
    config.write_text(model_config(models, names))
    port, program = port or free_port(), program_under_test()
    command = (*LINCE, "model-server") if program == "embedded" else (program,)
    flags = (f"--model_config_file={config}", f"--port={port}", "--max_num_load_retries=0")
    flags += ("--file_system_poll_wait_seconds=1", *more)
    with started((*command, *flags), scratch / "model-server.log") as running:
        line = re.compile(rf"Running gRPC ModelServer at [0-9.]+:{port} ")
        wait_until(lambda: line.search(running.output()), "the model server", running)
        yield running, f"127.0.0.1:{port}"


@contextmanager
def gateway(
    names: Sequence[str], address: str, scratch: Path, **variables: str
) -> Iterator[tuple[Running, str]]:
    """A gateway that is ready; gives it and its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "LINCE_MODELS": ",".join(names),
        "LINCE_MODEL_SERVER": address,
        "LINCE_PORT": str(port),
        "LINCE_REFRESH_SECONDS": "0.1",
    }
    with started((*LINCE, "gateway"), scratch / "gateway.log", **settings | variables) as running:
        wait_until(lambda: answers(f"{url}/readyz"), "the gateway", running)
        yield running, url


@contextmanager
def system(
    models: Path, names: Sequence[str], scratch: Path, **variables: str
) -> Iterator[tuple[Running, str]]:
    """A model server and a gateway in front; gives the gateway and its URL."""
    with ExitStack() as stack:
        _, address = stack.enter_context(model_server(models, names, scratch))
        yield stack.enter_context(gateway(names, address, scratch, **variables))


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def post(url: str, content: bytes | Iterable[bytes], timeout: float = 60) -> httpx.Response:
    """Posts over a connection of its own (without reading certificates, which takes a while)."""
    with httpx.Client(verify=False, timeout=timeout) as client:
        return client.post(url, content=content)


def get(url: str) -> httpx.Response:
    with httpx.Client(verify=False, timeout=60) as client:
        return client.get(url)


def children(process: int) -> list[int]:
    """The processes that a process started and that still run."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in text.split()]


def memory_mb(process: int) -> float:
    """What a process takes for itself, and its share of what it shares (PSS)."""
    return _smaps_mb(process, "Pss")


def own_memory_mb(process: int) -> float:
    """What a process has written: unlike its share of libraries it doesn't change with who else
    has loaded them.
    """
    return _smaps_mb(process, "Anonymous")


def _smaps_mb(process: int, field: str) -> float:
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) / 1024
