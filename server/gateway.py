"""Runs the gateway: worker processes under granian, one set of metrics for all of them."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from contract.settings import Settings

# The name of prometheus-client's own variable; metrics.py is not imported here, since it reads the
# variable at import.
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def run(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C; requests in flight are finished first."""
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
        print(f"gateway: http://{settings.host}:{settings.port}", file=sys.stderr, flush=True)
        server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: Settings) -> Any:
    """Makes the application in a worker, after the fork."""
    from server.app import create_app

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    return create_app(settings)
