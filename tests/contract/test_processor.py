"""How many cores a process may use, by affinity and quota, and what its CPU can multiply."""

import os
from pathlib import Path

import pytest

from contract.processor import bfloat16_instructions, cores

V2 = "0::/kubepods/pod1\n"
V1 = "11:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n0::/\n"

# (what /proc/self/cgroup says, files below /sys/fs/cgroup, cores of 8)
QUOTAS = {
    "none": (V2, {}, 8),
    "unlimited": (V2, {"kubepods/pod1/cpu.max": "max 100000"}, 8),
    "whole": (V2, {"kubepods/pod1/cpu.max": "300000 100000"}, 3),
    "a part is a core too": (V2, {"kubepods/pod1/cpu.max": "150000 100000"}, 2),
    "less than one": (V2, {"kubepods/pod1/cpu.max": "10000 100000"}, 1),
    "more than there are": (V2, {"kubepods/pod1/cpu.max": "9900000 100000"}, 8),
    "of a group above": (
        V2,
        {"kubepods/pod1/cpu.max": "max 100000", "kubepods/cpu.max": "200000 100000"},
        2,
    ),
    "the least counts": (
        V2,
        {"kubepods/pod1/cpu.max": "400000 100000", "kubepods/cpu.max": "500000 100000"},
        4,
    ),
    "seen from inside": (V2, {"cpu.max": "250000 100000"}, 3),
    "another period": ("0::/\n", {"cpu.max": "100000 50000"}, 2),
    "not to be read": (V2, {"cpu.max": "nonsense"}, 8),
    "version 1": (
        V1,
        {
            "cpu/docker/1/cpu.cfs_quota_us": "200000\n",
            "cpu/docker/1/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    "version 1, unlimited": (
        V1,
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
        8,
    ),
    "version 1, seen from inside": (
        V1,
        {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        1,
    ),
    "no Linux": (None, {}, 8),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_cores(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, files, expected = QUOTAS[case]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    if own is not None:
        (tmp_path / "self").write_text(own)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cores(tmp_path / "cgroup", tmp_path / "self") == expected


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cores(tmp_path, tmp_path / "self") == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(tmp_path, tmp_path / "self") == 1


def test_cores_of_this_machine() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


CPUS = {
    "amx": ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile", "amx_bf16"),
    "avx512": ("flags\t\t: fpu avx512_bf16 avx512f", "avx512_bf16"),
    "neither": ("flags\t\t: fpu avx2 avx512f", None),
    "not by a part of its name": ("flags\t\t: avx512_bf16x", None),
    "only the flags count": ("model name\t: avx512_bf16\nflags\t\t: fpu", None),
    "another kind": ("Features\t: fp asimd bf16", None),
}


@pytest.mark.parametrize("cpu", CPUS)
def test_bfloat16_instructions(cpu: str, tmp_path: Path) -> None:
    text, expected = CPUS[cpu]
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{text}\nbugs\t\t:\n\nprocessor\t: 1\n{text}\n")
    assert bfloat16_instructions(path) == expected
    assert bfloat16_instructions(tmp_path / "none") is None
