"""What a run found, as docs/performance.json keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from contract.files import write_whole

#: The name under which the limit is among the systems.
LIMIT = "limit"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement of one system.

    Attributes:
        clients: 0 for the limit, which has none.
        rate: answers per second.
        refused: share of the requests that got no 200.
        cpu_ms: milliseconds per answer, by role.
        wrk_cpu_ms: the load generator's.
    """

    system: str
    clients: int
    round: int
    rate: float
    cpu_ms: dict[str, float]
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    refused: float = 0.0
    wrk_cpu_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What one system showed while no other ran.

    Attributes:
        deviation: greatest difference of a probability from the model's own, over the pictures.
        same_labels: pictures whose first label is the model's own.
        rest_mb: PSS of each process after its first answers, by role; loaded_mb: under load.
    """

    system: str
    ready_seconds: float
    deviation: float
    same_labels: int
    rest_mb: dict[str, list[float]]
    loaded_mb: dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Where the milliseconds of one request go while no other is there: medians, end to end.

    Attributes:
        client: what the caller waits; the gateway's `total`, and in it `read`, `queue`, `decode`
            and `predict`, are its own account.
        model: the model's run in `predict`, measured without a server.
    """

    client: float
    total: float
    read: float
    queue: float
    decode: float
    predict: float
    model: float


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model, the pictures that it was sent, and what came of it.

    Attributes:
        sides: shortest and longest of the pictures' longest sides.
        picture_bytes: mean size of a file.
        limit_batch: the batch at which the limit is.
        model_ms: of one image, alone and in that batch, in one process.
    """

    name: str
    model: str
    parameters: int
    input: str
    pictures: int
    sides: tuple[int, int]
    picture_bytes: int
    limit_batch: int
    decode_ms: float
    model_ms: tuple[float, float]
    alone: list[Alone]
    samples: list[Sample]
    stages: Stages | None = None

    @property
    def systems(self) -> list[str]:
        return [each.system for each in self.alone]

    def of(self, system: str, clients: int = 0) -> list[Sample]:
        """The samples of a system at so many clients, a round after the other."""
        return [s for s in self.samples if s.system == system and s.clients == clients]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How Lince's cost grows with something.

    Attributes:
        of: with what.
        value: as a table shows it.
        limit: answers per second that the limit reaches, where it is another for each value.
    """

    of: str
    value: str
    sample: Sample
    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Results:
    """All of a run.

    Attributes:
        gateway_ready_seconds: from a gateway's start to its first 200 on /readyz, each time.
        epochs: seconds of each pair of epochs: of `lince train`, of the bare model.
    """

    cores: int
    machine: str
    versions: dict[str, str]
    seconds: int
    rounds: int
    workloads: list[Workload]
    gateway_ready_seconds: list[float] = field(default_factory=list)
    epochs: list[tuple[float, float]] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)


def read(file: Path) -> Results:
    return msgspec.json.decode(file.read_bytes(), type=Results)


def write(results: Results, file: Path) -> None:
    text = msgspec.json.format(msgspec.json.encode(results), indent=1)
    write_whole(file, text + b"\n")


def ratios(ours: Sequence[Sample], others: Sequence[Sample]) -> list[float]:
    """Of the rates, round by round."""
    return [one.rate / other.rate for one, other in zip(ours, others, strict=True)]


def best_peer(workload: Workload, clients: int, peers: Sequence[str]) -> str | None:
    """The one of the highest median rate; None where no peer was measured."""
    there = [name for name in peers if workload.of(name, clients)]
    if not there:
        return None
    return max(there, key=lambda name: median(s.rate for s in workload.of(name, clients)))


def cpu_of(samples: Sequence[Sample], role: str | None = None) -> float:
    """Median CPU milliseconds per answer, of one role or of all."""
    return median(
        sum(ms for name, ms in sample.cpu_ms.items() if role in (None, name)) for sample in samples
    )


def in_words(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the least and the greatest value."""
    if not values:
        return "–"
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"
