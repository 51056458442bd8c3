"""Load on a gRPC method, made by h2load: a native program, so the callers cost next to nothing."""

import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc

_DONE = re.compile(r"requests: .*?(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_SPAN = re.compile(r"finished in ([\d.]+)s")
_DATA = re.compile(r"traffic: .*\((\d+)\) data")


@dataclass(frozen=True)
class Load:
    """What one run of h2load saw."""

    calls: int
    seconds: float
    client_cpu_seconds: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


def load(
    address: str, method: str, message: bytes, callers: int, seconds: float, scratch: Path
) -> Load:
    """So many callers, each on a connection of its own, send this message again and again.

    gRPC says how a call ended in trailers, which h2load doesn't read: that every call was
    answered is told from the bytes received, since a call that fails brings no message.
    """
    if shutil.which("h2load") is None:
        sys.exit("the benchmark needs h2load, of nghttp2 (Debian: nghttp2-client)")
    with grpc.insecure_channel(address) as channel:
        answer = len(channel.unary_unary(method)(message))
    body = scratch / "body.bin"
    body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
    command = [
        "h2load",
        f"--clients={callers}",
        f"--duration={seconds * 1000:.0f}ms",
        f"--data={body}",
    ]
    for header in ("content-type: application/grpc", "te: trailers"):
        command += ["-H", header]
    before = _children_cpu()
    output = subprocess.run(
        [*command, f"http://{address}{method}"], check=True, capture_output=True, text=True
    ).stdout
    spent = _children_cpu() - before
    succeeded, *others = map(int, _DONE.findall(output)[0])
    if any(others) or int(_DATA.findall(output)[0]) < succeeded * answer:
        sys.exit(f"calls failed:\n{output}")
    return Load(succeeded, float(_SPAN.findall(output)[0]), spent)


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system
