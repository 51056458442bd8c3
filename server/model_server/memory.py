"""Memory: what a request will need, and whether that much is there.

A kernel that gets no memory can end the process, and the kernel of the machine may end it first.
So what a request needs is foretold, from the tensors that the first row of such a request makes,
and one that needs more than there is gets an error instead of a run.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from server.model_server.errors import ServingError

LARGE = 64 * 2**20
"""Bytes from which on a request is looked at; below it the look would cost more than it saves."""

FEW_ROWS = 8
"""Requests of fewer rows are not looked at: what one row needs, the model needs in any case."""

_AT_ONCE = 4
"""As many of the largest tensors are taken to live at the same time. A chain of layers needs two or
three of them, branches more, but not all of their tensors are of the largest kind."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for what comes next.

    As it is, each image-sized piece is mapped anew and given back after the call, and half of what
    it costs to receive a message is the kernel's handing out empty pages.
    """
    with contextlib.suppress(OSError, AttributeError):  # other systems have other allocators
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        library.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)


def row_bytes(step_stats: Any) -> int:
    """What the graph needs for each row, by the StepStats of a run with one row."""
    sizes = [
        memory.peak_bytes
        for device in step_stats.dev_stats
        for node in device.node_stats
        for memory in node.memory
    ]
    return int(min(sum(sizes), _AT_ONCE * max(sizes, default=0)))


def common_rows(feeds: Mapping[str, np.ndarray]) -> int:
    """The number of rows that all inputs have; 0 if they don't agree."""
    counts = {array.shape[0] if array.ndim else 0 for array in feeds.values()}
    return counts.pop() if len(counts) == 1 else 0


class Guard:
    """Lets requests run as long as there is memory for them.

    Args:
        limit: Bytes that this process may take in all; 0 for what the machine has.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._promised = 0
        self._admitting = threading.Lock()

    @contextlib.contextmanager
    def admitted(self, needed: int) -> Iterator[None]:
        """Run something that will need so many bytes.

        Raises:
            ServingError: RESOURCE_EXHAUSTED: there are not so many.
        """
        with self._admitting:
            self.check(needed)
            self._promised += needed
        try:
            yield
        finally:
            with self._admitting:
                self._promised -= needed

    def check(self, needed: int) -> None:
        """Refuse what needs more bytes than there are.

        Raises:
            ServingError: RESOURCE_EXHAUSTED.
        """
        free = self.free()
        if free is not None and needed > free:
            raise ServingError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The request would need about {needed / 2**20:.0f} MiB of memory, and "
                f"{max(free, 0) / 2**20:.0f} MiB are free",
            )

    def free(self) -> int | None:
        """Bytes that are neither taken nor promised; None if this system doesn't tell."""
        known = [free for free in (_machine(), _cgroup(), self._own()) if free is not None]
        return min(known) - self._promised if known else None

    def _own(self) -> int | None:
        if not self._limit:
            return None
        pages = int(_read("/proc/self/statm").split()[1])
        return self._limit - pages * os.sysconf("SC_PAGE_SIZE")


def _machine() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup() -> int | None:
    for limit, usage in _CGROUPS:
        most, taken = _read(limit).strip(), _read(usage).strip()
        if most.isdigit() and taken.isdigit():
            stat = _read(str(Path(limit).with_name("memory.stat")))
            return int(most) - int(taken) + _given_back(stat)
    return None


def _given_back(stat: str) -> int:
    """Bytes of files in a group's memory, which the kernel drops when they are needed."""
    fields = dict(line.split(maxsplit=1) for line in stat.splitlines())
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
