"""A system that answers with a picture's probabilities: how it is started and how it is asked."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from server.ports import free_port
from tests.bench.whole import usage
from tests.bench.whole.load import Load, load
from tests.integration.processes import started, wait_until

_TIMING = re.compile(r"(\w+);dur=([\d.]+)")


@dataclass(frozen=True, kw_only=True)
class System:
    """One that can be started.

    Attributes:
        command: what starts it, on a port.
        variables: of its environment, on a port.
        path: of the URL that takes pictures.
        body: makes a request's body of a picture's bytes.
        probabilities: reads them, in the order of the labels, from an answer's JSON.
        role: what its processes are called.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    path: str
    content_type: str
    probabilities: Callable[[Any, Sequence[str]], list[float]]
    body: Callable[[bytes], bytes] = lambda data: data
    variables: Callable[[int], dict[str, str]] = lambda _: {}
    role: usage.Role = lambda _: "server"


@dataclass(frozen=True)
class Usage:
    """What a load saw, and what it cost.

    Attributes:
        cpu_ms: milliseconds per answered request, by role.
    """

    load: Load
    cpu_ms: dict[str, float]


@dataclass(frozen=True)
class Running:
    """A started system, and the bodies that are sent to it.

    Attributes:
        ready_seconds: from its start to its first answer.
    """

    system: System
    pid: int
    url: str
    bodies: Sequence[Path]
    ready_seconds: float

    def load(self, clients: int, **options: Any) -> Usage:
        """Puts load on it; `options` are those of `load.load`."""
        pids = self.processes()
        before = usage.cpu_seconds(pids)
        seen = load(self.url, self.system.content_type, self.bodies, clients, **options)
        after = usage.cpu_seconds(pids)
        count = max(seen.answered, 1)
        return Usage(seen, {role: (after[role] - before[role]) * 1000 / count for role in before})

    def pause(self) -> None:
        """Stops its processes until `go_on`: even idle ones look around many times a second."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def go_on(self) -> None:
        """Has it go on, and waits until it answers: some take a second to find their feet."""
        self.wake()
        wait_until(lambda: _is_answered(self), self.system.name)

    def _signal(self, number: int) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def memory(self) -> dict[str, list[float]]:
        """PSS of each process in MB, by role."""
        return usage.memory(self.processes())

    def answers(self, labels: Sequence[str]) -> list[list[float]]:
        """The probabilities of each picture."""
        return [
            self.system.probabilities(_post(self, body).raise_for_status().json(), labels)
            for body in self.bodies
        ]

    def timings(self, times: int) -> list[dict[str, float]]:
        """Asks one by one over one connection: milliseconds of what the answer's Server-Timing
        names, and `client`, what the caller waited.
        """
        found = []
        headers = {"Content-Type": self.system.content_type}
        with httpx.Client(verify=False, timeout=60) as client:
            for number in range(times):
                body = self.bodies[number % len(self.bodies)].read_bytes()
                began = time.perf_counter()
                answer = client.post(self.url, content=body, headers=headers).raise_for_status()
                took = (time.perf_counter() - began) * 1000
                named = _TIMING.findall(answer.headers["server-timing"])
                found.append({**{name: float(text) for name, text in named}, "client": took})
        return found

    def processes(self) -> dict[int, str]:
        """Its processes, each with its role."""
        return usage.processes(self.pid, self.system.role)


@contextmanager
def running(
    system: System, pictures: Sequence[Path], scratch: Path, cores: Sequence[int] = ()
) -> Iterator[Running]:
    """Starts a system and waits for its first answer.

    Args:
        cores: those that it runs on; all unless given.
    """
    folder = scratch / system.name
    folder.mkdir(parents=True, exist_ok=True)
    bodies = [folder / file.with_suffix(".body").name for file in pictures]
    for body, file in zip(bodies, pictures, strict=True):
        body.write_bytes(system.body(file.read_bytes()))
    port = free_port()
    command = list(system.command(port))
    if cores:
        command = ["taskset", "-c", ",".join(map(str, cores)), *command]
    url = f"http://127.0.0.1:{port}{system.path}"
    left: dict[int, str] = {}
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(_end, left)
        process = stack.enter_context(started(command, folder / "log", **system.variables(port)))
        pid = process.process.pid
        stack.callback(lambda: left.update(usage.processes(pid, system.role)))
        made = Running(system, pid, url, bodies, 0.0)
        wait_until(lambda: _is_answered(made), system.name, process)
        yield replace(made, ready_seconds=time.monotonic() - began)


def _end(pids: Iterable[int]) -> None:
    """Ends what a server that was told to end has left behind: the next one is to be alone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def all_cores() -> list[int]:
    """The cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def _is_answered(running: Running) -> bool:
    try:
        return _post(running, running.bodies[0]).status_code == 200
    except httpx.TransportError:
        return False


def _post(running: Running, body: Path) -> httpx.Response:
    headers = {"Content-Type": running.system.content_type}
    with httpx.Client(verify=False, timeout=60) as client:
        return client.post(running.url, content=body.read_bytes(), headers=headers)
