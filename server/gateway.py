"""Runs the gateway: worker processes under granian, one set of metrics for all of them."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from contract.settings import Settings
from server.ports import check_port

# The name of prometheus-client's own variable; metrics.py is not imported here, since it reads the
# variable at import.
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# glibc's numbers of M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (malloc.h).
_MALLOC_OPTIONS = {-8: 2, -3: 256 * 1024, -1: 256 * 1024}


def run(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C; requests in flight are finished first.

    Raises:
        StartError: the address is taken or not this machine's.
    """
    check_port(settings.host, settings.port)
    with tempfile.TemporaryDirectory(prefix="lince-metrics-") as scratch:
        folder = Path(os.environ.setdefault(_METRICS_FOLDER, scratch))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):  # an earlier gateway's numbers are not this one's
            left.unlink()
        server = Granian(
            "server.app",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.WSGI,
            workers=settings.workers,
            blocking_threads=settings.threads,
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, round(settings.drain_seconds)),
            log_level=LogLevels.error,
        )
        _let_young_workers_be_stopped()
        print(f"gateway: http://{settings.host}:{settings.port}", file=sys.stderr, flush=True)
        server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: Settings) -> Any:
    """Makes the application in a worker, after the fork."""
    _give_memory_back()
    from server.app import create_app

    # Pillow's remarks on odd pictures: the answer says what is wrong, the log is JSON lines.
    warnings.filterwarnings("ignore", module="PIL")
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    return create_app(settings)


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
    """Has glibc return what a decoded picture took, instead of keeping it for each thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in _MALLOC_OPTIONS.items():
            libc.mallopt(option, value)
