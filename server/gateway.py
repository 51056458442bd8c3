"""Runs the gateway: worker processes under granian, one set of metrics for all of them."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels

from contract.settings import Settings
from contract.wire import tls
from server import logs, tracing
from server.ports import check_port
from server.security.guard import Guard, make_guard

if TYPE_CHECKING:
    from server.front import Front

# The name of prometheus-client's own variable; metrics.py is not imported here, since it reads the
# variable at import.
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# What a request's head may take: as long and as much as the slowest honest caller needs.
_HEAD_SECONDS = 10
_MOST_HEAD_BYTES = 64 * 1024

# glibc's numbers of M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (malloc.h).
_MALLOC_OPTIONS = {-8: 2, -3: 4 << 20, -1: 8 << 20}


def run(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C; requests in flight are finished first.

    Raises:
        StartError: the address is taken or not this machine's.
        SettingsError: a file that a setting names can't be read, or an extra is missing.
    """
    tls.read(settings)
    tracing.wanted(os.environ)
    check_port(settings.host, settings.port)
    if settings.metrics_port:
        variables = "LINCE_METRICS_HOST, LINCE_METRICS_PORT"
        check_port(settings.metrics_host, settings.metrics_port, variables)
    logs.set_up(settings.log_level)
    with tempfile.TemporaryDirectory(prefix="lince-metrics-") as scratch:
        folder = Path(os.environ.setdefault(_METRICS_FOLDER, scratch))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):  # an earlier gateway's numbers are not this one's
            left.unlink()
        server = _Server(
            "server.front",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.RSGI,
            loop=Loops.asyncio,  # uvloop, where something has installed it, is not faster here
            websockets=False,
            workers=settings.workers,
            backlog=1024,
            backpressure=settings.max_connections,
            http1_settings=HTTP1Settings(_HEAD_SECONDS * 1000, max_buffer_size=_MOST_HEAD_BYTES),
            http2_settings=HTTP2Settings(max_headers_size=_MOST_HEAD_BYTES),
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, round(settings.drain_seconds)),
            log_level=LogLevels.error,
            log_dictconfig=logs.GRANIAN,
        )
        server.stopping = stopping = Flag()
        server.serving = serving = Flag()
        server.delay_seconds = settings.drain_delay_seconds
        # Workers inherit it: the rates' buckets are theirs together, and a broken file of keys is
        # told here.
        guard = make_guard(settings)
        _let_young_workers_be_stopped()
        print(f"gateway: http://{settings.host}:{settings.port}", file=sys.stderr, flush=True)
        loader = partial(_load, settings, stopping, serving, guard)
        server.serve(target_loader=loader, wrap_loader=False)


class Flag:
    """A flag that a process and those that it forked see as soon as one of them raises it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __call__(self) -> bool:
        return self._memory[0] != 0

    def raise_(self) -> None:
        self._memory[0] = 1

    def lower(self) -> None:
        self._memory[0] = 0


class _Server(Granian):  # type: ignore[misc]  # its types are not checked
    """Granian, but that callers are led away before it stops, and that it lives on when requests
    end one worker after another.

    Attributes:
        stopping: raised when it is about to stop.
        serving: raised by every worker that has begun to serve.
        delay_seconds: for which requests are still taken then.
    """

    stopping: Flag
    serving: Flag
    delay_seconds: float

    def _respawn_workers(self, *args: Any, **more: Any) -> None:
        served = self.serving()
        self.serving.lower()
        super()._respawn_workers(*args, **more)
        # Granian ends with all its workers when one dies twice within 5.5 seconds. That is right
        # for those that can't begin, and wrong for those that a picture has brought down: who sent
        # it twice would end the service of everybody.
        if served:
            self.respawned_wrks.clear()

    def shutdown(self, exit_code: int = 0) -> None:
        self.stopping.raise_()
        self.main_loop_interrupt.clear()
        if self.interrupt_signal:  # a second signal ends the wait
            self.main_loop_interrupt.wait(self.delay_seconds)
        super().shutdown(exit_code)


def _load(settings: Settings, stopping: Flag, serving: Flag, guard: Guard) -> Front:
    """Makes the application in a worker, after the fork."""
    _give_memory_back()
    from server.app import create_app
    from server.front import Front
    from server.metrics_port import MetricsServer

    if settings.metrics_port:
        MetricsServer(settings.metrics_host, settings.metrics_port).start()
    front = Front(create_app(settings, stopping, guard), settings, stopping, guard)
    serving.raise_()
    return front


def _let_young_workers_be_stopped() -> None:
    """Until granian sets its own handlers, a worker has its parent's, which do nothing there: a
    stop in that moment would be lost, and the worker killed only after the whole drain time."""
    stops = (signal.SIGTERM, signal.SIGINT)

    def in_child() -> None:
        for number in stops:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=in_child,
    )


def _give_memory_back() -> None:
    """Has glibc return what a large decoded picture took, instead of keeping it for each thread.

    What a photograph of up to a megapixel takes stays: to fetch its pages anew from the system for
    every picture costs more than many another step of the answer.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in _MALLOC_OPTIONS.items():
            libc.mallopt(option, value)
