"""The processor that this process may use: how many cores, and whether it knows bfloat16."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_CPUINFO = Path("/proc/cpuinfo")
#: What multiplies bfloat16, as Linux names it, the faster first. AVX512F alone only emulates it.
_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def cores(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int:
    """Returns how many cores this process may keep busy, at least 1.

    Those that it may run on, and no more than a container's CPU quota pays for, of which TensorFlow
    and os.cpu_count know nothing: 1.5 CPUs are 2 cores. More threads than that only make the quota
    run out sooner, and the container stands still for the rest of each period.

    Args:
        cgroups: where control groups are mounted.
        own: the file that says which of them the process is in.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(cgroups, own))]))


def bfloat16_instructions(cpuinfo: Path = _CPUINFO) -> str | None:
    """Returns the CPU's instructions that multiply bfloat16, by Linux's name; None: it has none.

    `amx_bf16` or `avx512_bf16`; None also where there is no such file to tell.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    flags = line.partition(":")[2].split()
    return next((name for name in _BFLOAT16 if name in flags), None)


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """Yields the CPUs of every quota on the process: of its control groups and those above."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        # 0::/kubepods/pod1 (version 2), or 4:cpu,cpuacct:/docker/1 (version 1)
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            root, read = cgroups, _version_2
        elif "cpu" in controllers.split(","):
            root, read = cgroups / "cpu", _version_1
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        # In a container the path may be that of the host, and not be there: the root is the
        # container's own group then.
        for group in (inner, *inner.parents):
            quota = read(root / group)
            if quota is not None:
                yield quota


def _version_2(group: Path) -> float | None:
    try:
        limit, period = (group / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _version_1(group: Path) -> float | None:
    try:
        limit = int((group / "cpu.cfs_quota_us").read_text())
        return None if limit <= 0 else limit / int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
