"""The whole system on one machine: a model server and a gateway as child processes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from contract.processor import cores
from contract.settings import Settings
from server import children
from server.ports import check_port, free_port, is_open

# Together under the 5 s in which Ctrl-C is to be done.
_STOP_SECONDS = 4.0


@dataclass(frozen=True)
class System:
    """Where the running system listens."""

    gateway: str
    model_server: str


def up(
    settings: Settings,
    names: Sequence[str],
    when_ready: Callable[[System], None],
    log: Path | None = None,
) -> None:
    """Starts a model server on the models folder and a gateway in front, until Ctrl-C.

    Args:
        settings: with the model server's program.
        names: of the models to serve.
        when_ready: called once the gateway answers that it is ready.
        log: file for what the processes print; None lets them print it here.

    Raises:
        StartError: the gateway's port is taken, the model server's program is missing, or a
            process did not start or ended by itself.
    """
    grpc_port = free_port(8500)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    system = System(gateway=f"http://{host}:{settings.port}", model_server=f"127.0.0.1:{grpc_port}")
    check_port(settings.host, settings.port)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-up-")))
        config = scratch / "models.config"
        config.write_text(model_config(settings.models_dir.absolute(), names))
        output = stack.enter_context(log.open("wb")) if log else None
        started: list[children.Child] = []
        stack.callback(_stop, started)
        try:
            command = _model_server(settings.model_server_program, config, grpc_port)
            started.append(children.start(command, output))
            children.await_ready(
                started, lambda: is_open("127.0.0.1", grpc_port), "the model server"
            )
            started.append(
                children.start(
                    [sys.executable, "-m", "lince", "gateway"],
                    output,
                    {
                        "LINCE_MODELS": ",".join(names),
                        "LINCE_MODEL_SERVER": system.model_server,
                        "LINCE_HOST": settings.host,
                        "LINCE_PORT": str(settings.port),
                        "LINCE_DRAIN_SECONDS": str(_STOP_SECONDS - 1),
                    }
                    | _shared_cpus(),
                )
            )
            children.await_ready(
                started, lambda: _answers(f"{system.gateway}/readyz"), "the gateway"
            )
            when_ready(system)
            children.await_ready(started, lambda: False, "", seconds=float("inf"))
        except KeyboardInterrupt:
            # Stopping takes seconds at most; an impatient second Ctrl-C would leave it half done.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            print("\nstopping", file=sys.stderr)


def _shared_cpus() -> dict[str, str]:
    """The gateway's variables on CPUs that it shares with the model server, unless they are set.

    A second call of a process would take the CPU from it while it fills the next one: then the
    calls are less full, and all is slower (docs/performance.md).
    """
    wanted = {"LINCE_WORKERS": str(_half_the_cores()), "LINCE_CALLS_AT_ONCE": "1"}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _half_the_cores() -> int:
    """What the gateway and the model server have each."""
    return max(1, cores() // 2)


def model_config(models: Path, names: Sequence[str]) -> str:
    """Returns TensorFlow Serving's model configuration (text proto) for some models of a folder."""
    entries = "".join(
        f'  config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}\n'
        for name in names
    )
    return f"model_config_list {{\n{entries}}}\n"


def _model_server(program: str, config: Path, port: int) -> list[str]:
    return [
        *children.model_server_program(program),
        f"--model_config_file={config}",
        f"--port={port}",
        "--enable_grpc_healthcheck_service",
        # Only a version with a batching_params.pbtxt, which lince tune writes, is batched.
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        f"--tensorflow_intra_op_parallelism={_half_the_cores()}",
        # A version that can't be loaded is to be heard of now, not after five minutes of retries.
        "--max_num_load_retries=0",
    ]


def _stop(started: Sequence[children.Child]) -> None:
    """Stops the gateway first, so that its requests in flight still find the model server."""
    until = time.monotonic() + _STOP_SECONDS
    for child in reversed(started):
        children.stop(child, max(0.5, until - time.monotonic()))


def _answers(url: str) -> bool:
    try:
        # Without the proxies that the environment may name: this is this machine itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
