"""What a running system uses: its processes, their CPU time and their memory."""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.integration.processes import memory_mb

#: From the command lines of a process and of those above it, itself last, to what it is called.
Role = Callable[[list[str]], str]


def processes(root: int, role: Role) -> dict[int, str]:
    """The process and all under it that run, each with its role."""
    found: dict[int, str] = {}

    def visit(pid: int, above: list[str]) -> None:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            lists = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
        except OSError:  # ended meanwhile
            return
        line = [*above, words]
        found[pid] = role(line)
        for child in " ".join(lists).split():
            visit(int(child), line)

    visit(root, [])
    return found


def cpu_seconds(pids: dict[int, str]) -> dict[str, float]:
    """User and system time so far, by role."""
    ticks: dict[str, int] = defaultdict(int)
    for pid, role in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks[role] += int(fields[11]) + int(fields[12])
    return {role: count / os.sysconf("SC_CLK_TCK") for role, count in ticks.items()}


def memory(pids: dict[int, str]) -> dict[str, list[float]]:
    """PSS of each process in MB, by role."""
    found: dict[str, list[float]] = defaultdict(list)
    for pid, role in pids.items():
        found[role].append(round(memory_mb(pid), 1))
    return dict(found)
