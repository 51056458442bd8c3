"""The metrics of several workers, some of them dead or killed at an awkward moment."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from server import exposition
from tests.server.figures import figure


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(exposition.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    return process.pid


def write(folder: Path, kind: str, pid: int, name: str, value: float, **labels: str) -> None:
    file = MmapedDict(str(folder / f"{kind}_{pid}.db"))
    family = name.removesuffix("_total").removesuffix("_bucket").removesuffix("_sum")
    key = mmap_key(family, name, list(labels), list(labels.values()), "text")
    file.write_value(key, file.read_value(key)[0] + value, 1.0)
    file.close()


def a_worker(folder: Path, pid: int) -> None:
    write(folder, "counter", pid, "lince_c_total", 5, x="1")
    write(folder, "histogram", pid, "lince_h_bucket", 2, le="1.0")
    write(folder, "histogram", pid, "lince_h_bucket", 1, le="+Inf")
    write(folder, "histogram", pid, "lince_h_sum", 7)
    write(folder, "gauge_livesum", pid, "lince_g", 3)
    write(folder, "gauge_livemostrecent", pid, "lince_m", 4)


def sums() -> tuple[float | None, ...]:
    return (
        figure("lince_c_total", x="1"),
        figure("lince_h_bucket", le="1.0"),
        figure("lince_h_count"),
        figure("lince_h_sum"),
    )


def gauges() -> tuple[float | None, float | None]:
    return figure("lince_g"), figure("lince_m")


def test_of_the_dead_the_sums_stay_and_the_gauges_leave(folder: Path, dead: int) -> None:
    a_worker(folder, os.getpid())
    a_worker(folder, dead)
    assert sums() == (10, 4, 6, 14)
    assert gauges() == (3, 4)


def test_without_the_living_there_are_no_gauges(folder: Path, dead: int) -> None:
    a_worker(folder, dead)
    assert sums() == (5, 2, 3, 7)
    assert gauges() == (None, None)


def test_files_do_not_grow_in_number(folder: Path, dead: int) -> None:
    a_worker(folder, os.getpid())
    for times in range(1, 6):
        a_worker(folder, dead)
        exposition.forget_dead_workers()
        assert sums() == (5 + 5 * times, 2 + 2 * times, 3 + 3 * times, 7 + 7 * times)
    assert len(list(folder.iterdir())) == 7  # four of the living, two of the dead, the lock


def test_a_worker_that_just_began(folder: Path) -> None:
    (folder / f"counter_{os.getpid()}.db").touch()
    (folder / f"histogram_{os.getpid()}.db").touch()
    assert sums() == (None,) * 4


def test_a_dead_worker_that_had_just_begun(folder: Path, dead: int) -> None:
    (folder / f"counter_{dead}.db").touch()
    assert sums() == (None,) * 4
    assert not list(folder.glob("counter*"))


class KilledError(Exception):
    """Stands for the end of a process."""


def test_killed_at_any_moment_nothing_is_lost_or_counted_twice(
    folder: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_worker(folder, os.getpid())
    survived = 0
    for steps in range(100):
        a_worker(folder, dead)
        with monkeypatch.context() as patch:
            left = [steps]
            for name in ("unlink", "replace", "write_bytes"):
                patch.setattr(Path, name, _dies(getattr(Path, name), left))
            try:
                exposition.forget_dead_workers()
                survived += 1
            except KilledError:
                pass
        worlds = steps + 1
        assert sums() == (5 + 5 * worlds, 2 + 2 * worlds, 3 + 3 * worlds, 7 + 7 * worlds), steps
        assert gauges() == (3, 4)
        if survived:
            break
    assert steps > 6


def _dies(method: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def step(*args: Any, **kwargs: Any) -> Any:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return method(*args, **kwargs)

    return step


def test_a_gauge_that_is_not_a_number_is_not_shown(folder: Path) -> None:
    write(folder, "gauge_livemostrecent", os.getpid(), "lince_m", float("nan"))
    assert figure("lince_m") is None
