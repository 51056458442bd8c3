"""The metrics of all worker processes as one text in Prometheus's format.

Every worker writes its values to files of its own in a folder (prometheus-client's multiprocess
mode), and whichever worker is asked reads those of all. When a worker is dead,

- its counters and histograms stay: they are sums since the gateway's start, and a sum that falls
  looks like a restart to Prometheus, which then takes the rest of it for new events;
- its gauges leave: it has no requests in progress any more.

What stays is added to one file for all the dead, so the folder does not grow with their number.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from prometheus_client import REGISTRY, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from server import drift
from server.metrics import FOLDER_VARIABLE

# Kinds of files whose values stay, and the name of the dead's: no process has the number 0.
_SUMS = ("counter", "histogram")
_OF_THE_DEAD = "0"
# They end in .db so that what empties the folder for a new gateway takes them along.
_LOCK, _PLAN, _DRAFT = "lock.db", "plan.db", "plan-draft.db"


class _Plan(msgspec.Struct):
    """What is still to be done once new sums of the dead are written.

    Attributes:
        rename: files of new sums, to be given their names.
        remove: files whose values are in them.
    """

    rename: dict[str, str]
    remove: list[str]


def text() -> tuple[bytes, str]:
    """Returns the metrics of all workers in Prometheus's text format, and its content type."""
    folder = os.environ.get(FOLDER_VARIABLE)
    families = _of_workers(Path(folder)) if folder else list(REGISTRY.collect())
    return exposition.generate_latest(_Collected(families)), exposition.CONTENT_TYPE_LATEST


def forget_dead_workers() -> None:
    """Adds the files of workers that died to one; a worker does it as it begins."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        with _locked(Path(folder)):
            _forget_dead(Path(folder))


class _Collected:
    """Families that are there already, for the client's encoder."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in drift.with_scores(self._families):
            # A gauge that is not a number is one of something that is no more.
            family.samples = [s for s in family.samples if s.value == s.value]
            if family.samples:
                yield family


def _of_workers(folder: Path) -> list[Metric]:
    with _locked(folder):
        _forget_dead(folder)
        return list(MultiProcessCollector.merge(_written(folder)))  # type: ignore[no-untyped-call]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time, among the threads of all workers; a worker that dies lets go of it."""
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _written(folder: Path, kind: str = "*", worker: str = "*") -> list[str]:
    # A worker that just began may not have given its file a size yet.
    found = sorted(folder.glob(f"{kind}_{worker}.db"))
    return [str(path) for path in found if path.stat().st_size]


def _forget_dead(folder: Path) -> None:
    _carry_out(folder)  # what a worker that was killed had begun
    dead = [pid for pid in _workers(folder) if not _lives(pid)]
    if not dead:
        return
    plan = _Plan({}, [path.name for pid in dead for path in folder.glob(f"*_{pid}.db")])
    for kind in _SUMS:
        files = [path for pid in (*dead, _OF_THE_DEAD) for path in _written(folder, kind, pid)]
        if files:
            plan.rename[f"{kind}-sum.db"] = f"{kind}_{_OF_THE_DEAD}.db"
            _add_up(files, folder / f"{kind}-sum.db")
    # From here on it will be done, whoever is killed: never half, never twice.
    draft = folder / _DRAFT
    draft.write_bytes(msgspec.json.encode(plan))
    draft.replace(folder / _PLAN)
    _carry_out(folder)


def _carry_out(folder: Path) -> None:
    path = folder / _PLAN
    if not path.exists():
        return
    plan = msgspec.json.decode(path.read_bytes(), type=_Plan)
    for name in plan.remove:
        (folder / name).unlink(missing_ok=True)
    for new, name in plan.rename.items():
        if (folder / new).exists():
            (folder / new).replace(folder / name)
    path.unlink()


def _add_up(files: list[str], target: Path) -> None:
    target.unlink(missing_ok=True)
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for family in MultiProcessCollector.merge(files, accumulate=False):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            names, values = list(sample.labels), list(sample.labels.values())
            key = mmap_key(family.name, sample.name, names, values, family.documentation)
            sums.write_value(key, sample.value, 0.0)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]


def _workers(folder: Path) -> set[str]:
    numbers = {path.stem.rpartition("_")[2] for path in folder.glob("*_*.db")}
    return {number for number in numbers if number.isdigit() and number != _OF_THE_DEAD}


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except OSError:  # no such process, or another user's that has its number now
        return False
    return True
