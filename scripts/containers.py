"""Containers without an engine: bubblewrap runs an image's files as its configuration says."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 300.0
#: By where they are mounted, the folder and whether it may be written.
Volumes = dict[str, tuple[Path, bool]]


class ImagesError(Exception):
    """Something that an image, or this machine, does not do."""


@dataclass(frozen=True)
class Container:
    """An image's files, copied, and its configuration."""

    name: str
    root: Path
    config: dict[str, Any]
    health: list[str]


def output(command: list[str]) -> str:
    """Runs a program and returns what it prints on stdout, without the end of line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        told = done.stdout[-2000:]
        raise ImagesError(f"{' '.join(command[-8:])}: exit code {done.returncode}\n{told}")
    return done.stdout.strip()


def command_line(
    box: Container,
    network: int,
    volumes: Volumes,
    arguments: list[str],
    more: Sequence[str] = (),
) -> list[str]:
    """How to start a container as its image says.

    Args:
        network: the process whose network it joins.
        more: further options of bwrap.
    """
    user, _, group = box.config["User"].partition(":")
    mounts = [
        word
        for target, (source, write) in volumes.items()
        for word in ("--bind" if write else "--ro-bind", str(source), target)
    ]
    variables = [word for text in box.config["Env"] for word in ("--setenv", *text.split("=", 1))]
    return [
        *("nsenter", "--target", str(network), "--net", "--"),
        *("bwrap", "--bind", str(box.root), "/", "--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--tmpfs", "/tmp", *mounts, "--remount-ro", "/"),  # noqa: S108
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent"),
        *more,
        *("--clearenv", *variables, "--chdir", box.config["WorkingDir"] or "/"),
        *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"),
        *("--cap-add", "CAP_SETPCAP"),
        *("--", "setpriv", "--reuid", user, "--regid", group or user, "--clear-groups"),
        *("--bounding-set=-all", *arguments),
    ]


@dataclass
class Server:
    """A container that runs until it is told to end."""

    box: Container
    process: subprocess.Popen[bytes]
    first: int
    """Its process 1, by its number outside."""

    def stop(self) -> int:
        os.kill(self.first, signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def server(
    box: Container,
    network: int,
    volumes: Volumes,
    arguments: list[str],
    log: Path,
) -> Iterator[Server]:
    """Starts a container and waits until the image's own health check is content."""
    entrypoint = [*box.config["Entrypoint"], *arguments]
    reading, writing = os.pipe()
    command = command_line(box, network, volumes, entrypoint, ["--info-fd", str(writing)])
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, pass_fds=(writing,)
        )
    os.close(writing)
    with os.fdopen(reading) as information:
        first = int(json.load(information)["child-pid"])
    try:
        check = command_line(box, network, {}, box.health)
        until = time.monotonic() + PATIENCE
        while subprocess.run(check, capture_output=True).returncode != 0:
            if process.poll() is not None or time.monotonic() > until:
                raise ImagesError(f"{box.name} does not get healthy:\n{log.read_text()}")
            time.sleep(0.2)
        yield Server(box, process, first)
    finally:
        process.kill()
        process.wait()


@contextmanager
def network() -> Iterator[int]:
    """A network with nothing but a loopback; gives the process that holds it."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout
            if holder.stdout.readline() != b"up\n":
                raise ImagesError("no network of its own can be made here")
            yield holder.pid
        finally:
            holder.kill()
