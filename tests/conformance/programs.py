"""What the suite is pointed at: a server that runs already, or a program that it starts itself."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from server.ports import free_port
from tests.conformance.api import Api, channel_to
from tests.integration.processes import Running, environment, started, wait_until

HINT = "python -m tests.conformance.models FOLDER writes the models and says how to start a server"


@dataclass(frozen=True)
class Target:
    """A server that runs already: its addresses, `host:port`; REST's may be missing."""

    address: str
    rest: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True)
class Program:
    """A program with TensorFlow Serving's flags."""

    name: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.command, *flags],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )


Place = Target | Program


def places() -> list[Place]:
    """Where the tests run, as the environment says; see `make conformance`."""
    if address := os.environ.get("CONFORMANCE_TARGET"):
        return [Target(address, os.environ.get("CONFORMANCE_REST", ""))]
    if path := os.environ.get("CONFORMANCE_PROGRAM"):
        return [Program(Path(path).name, (path,))]
    found: list[Place] = [
        Program("lince", (sys.executable, "-m", "lince", "model-server")),
    ]
    if shutil.which("tensorflow_model_server"):
        found.append(Program("tensorflow_model_server", ("tensorflow_model_server",)))
    return found


def is_embedded(place: Place) -> bool | None:
    """Whether it is Lince's own server; None if nobody can know."""
    if isinstance(place, Target):
        return None
    return "(lince)" in place.run("--version").stdout


@dataclass(frozen=True)
class Server:
    """A process that was started, and its ports."""

    running: Running
    port: int
    rest_port: int
    api: Api

    def wait(self) -> None:
        """Wait until it says that it is ready, and until both ports answer."""
        running = self.running
        for line in (
            f"Running gRPC ModelServer at [^ ]*:{self.port} ...",
            f"Exporting HTTP/REST API at:localhost:{self.rest_port} ...",
        ):
            pattern = line.replace("...", r"\.\.\.")
            wait_until(lambda p=pattern: re.search(p, running.output()), line, running)
        grpc.channel_ready_future(self.api.channel).result(timeout=60)
        wait_until(self.api.rest_answers, "REST", running)

    def refuses(self) -> bool:
        """Whether nothing listens on either port."""
        return all(is_closed(port) for port in (self.port, self.rest_port))


def is_closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def stays(condition: Callable[[], bool], seconds: float) -> None:
    """Assert that a condition holds for a while. A slow machine can't make it fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.05)


@contextmanager
def launched(program: Program, scratch: Path, flags: Sequence[str]) -> Iterator[Server]:
    """Start a program on free ports of its own; it need not be ready."""
    port, rest_port = free_port(), free_port()
    scratch.mkdir(parents=True, exist_ok=True)
    command = [*program.command, f"--port={port}", f"--rest_api_port={rest_port}", *flags]
    with (
        started(command, scratch / "log") as running,
        channel_to(f"127.0.0.1:{port}") as channel,
    ):
        yield Server(running, port, rest_port, Api(channel, f"127.0.0.1:{rest_port}"))
