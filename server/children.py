"""Servers as child processes: started, waited for, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from server.errors import StartError

_REAL = "tensorflow_model_server"
_START_SECONDS = 120.0
# Asks Linux for SIGTERM when the parent ends (PR_SET_PDEATHSIG), and becomes the program. Not as
# Popen's preexec_fn: that forks, which gRPC does not survive, and a Ctrl-C meanwhile would be lost.
_DYING_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"
)

Child = subprocess.Popen[bytes]


def model_server_program(choice: str) -> list[str]:
    """Returns the words that begin a model server's command.

    Args:
        choice: as the setting LINCE_MODEL_SERVER_PROGRAM has it.

    Raises:
        StartError: there is no such program.
    """
    embedded = [sys.executable, "-m", "lince", "model-server"]
    if choice == "embedded":
        return embedded
    found = shutil.which(_REAL if choice == "auto" else choice)
    if found:
        return [found]
    if choice == "auto":
        return embedded
    raise StartError(f"there is no program {choice} to be the model server")


def start(
    command: Sequence[str], output: IO[bytes] | None, variables: Mapping[str, str] | None = None
) -> Child:
    """Starts a server; it ends with this process, however that ends.

    Args:
        output: for what it prints; None lets it print here.
        variables: of its environment, besides those of this process.
    """
    words = list(command)
    if sys.platform == "linux":
        words = [sys.executable, "-I", "-S", "-c", _DYING_WITH_PARENT, *words]
    # In a session of its own, so that Ctrl-C reaches only this process, which stops it in order.
    child = subprocess.Popen(
        words,
        env={**os.environ, **(variables or {})},
        stdout=output,
        stderr=output and subprocess.STDOUT,
        start_new_session=True,
    )
    child.args = list(command)  # what is shown of it
    return child


def stop(child: Child, seconds: float) -> None:
    """Stops a server in order, or after so many seconds by force, with all that it started."""
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def await_ready(
    children: Sequence[Child],
    ready: Callable[[], bool],
    what: str,
    seconds: float = _START_SECONDS,
) -> None:
    """Waits until something is ready.

    Raises:
        StartError: one of the processes ended, or the time is over.
    """
    until = time.monotonic() + seconds
    while not ready():
        for child in children:
            if child.poll() is not None:
                raise StartError(f"{_shown(child)} ended with status {child.returncode}")
        if time.monotonic() > until:
            raise StartError(f"{what} was not ready within {seconds:.0f} s")
        time.sleep(0.05)


def _shown(child: Child) -> str:
    arguments = child.args if isinstance(child.args, list) else [child.args]
    return " ".join(str(argument) for argument in arguments[:4])
