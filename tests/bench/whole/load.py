"""Load over HTTP, made by wrk: a native program, whose own CPU is counted too."""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("load.lua")
_LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw.

    Attributes:
        answered: requests with a status of 200.
        refused: requests with another one.
        p50_ms: of all answers, as is p99_ms.
        cpu_seconds: of wrk itself.
    """

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


def load(
    url: str,
    content_type: str,
    bodies: Sequence[Path],
    clients: int,
    *,
    seconds: int = 0,
    requests: int = 0,
    cores: str | None = None,
    may_refuse: bool = False,
) -> Load:
    """So many clients, each on a connection of its own, post the bodies in turn.

    Args:
        seconds: how long; or give `requests`.
        requests: after how many to end, of all clients together; a few more are in flight.
        cores: those that wrk runs on, as taskset wants them; any unless given.
        may_refuse: whether an answer other than 2xx is a result; else it ends the benchmark.
    """
    if shutil.which("wrk") is None:
        sys.exit("the benchmark needs wrk (Debian, Ubuntu: apt install wrk)")
    command = [*(("taskset", "-c", cores) if cores else ()), "wrk", "-t1", f"-c{clients}"]
    command += [f"-d{seconds or _LONGEST_SECONDS}s", "--timeout=60s", "-s", str(_SCRIPT), url]
    command += ["--", content_type, str(requests), *map(str, bodies)]
    before = _children_cpu()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = _children_cpu() - before
    seen = json.loads(output.splitlines()[-1])
    # That nobody was answered in time is a result too.
    if seen["broken"] or (seen["refused"] and not may_refuse):
        sys.exit(f"requests to {url} failed: {seen}")
    return Load(
        answered=seen["requests"] - seen["refused"],
        refused=seen["refused"],
        seconds=seen["microseconds"] / 1e6,
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        cpu_seconds=spent,
    )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
