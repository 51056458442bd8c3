"""The search: which batching parameters are clearly better than none, in spite of noise.

Machines change their speed from one second to the next. So whatever is compared takes turns, each
round measures the unbatched model too, and what counts is the ratio to it within a round: the
median of the rounds. Of candidates that are about as good as the best one, the one that costs a
single caller least is chosen, so that another search finds the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from server.tuning.callers import Load
from server.tuning.candidate import Candidate, grid, with_other_threads
from server.tuning.errors import CallError, TuneError
from server.tuning.serving import Measure

#: Less than this better than unbatched is nothing, and so is this much worse than the best.
CLEAR = 0.03
_FINALISTS = 3
#: Of the rounds, how many have to agree that a candidate is better than unbatched.
_AGREEING = 0.75

Serve = Callable[[Sequence[Candidate]], AbstractContextManager[Measure]]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is asked for.

    Attributes:
        callers: that call at the same time, one image a call.
        seconds: of one measurement.
        rounds: of the last comparison.
        objective: "throughput" is images per second; "latency" is the 99th percentile of the time
            that a call takes.
        max_p99_ms: candidates whose 99th percentile is above it are out.
        try_threads: whether the model server takes the number of threads from a model's file.
    """

    callers: int
    seconds: float
    rounds: int
    objective: Literal["throughput", "latency"] = "throughput"
    max_p99_ms: float | None = None
    try_threads: bool = True


@dataclass
class Record:
    """The measurements of a candidate, or of the unbatched model.

    Attributes:
        loads: with all callers, a round each.
        gains: how many times as good as unbatched, in the same rounds.
        alone: with a single caller.
        error: why it is out: a call failed.
    """

    loads: list[Load] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    alone: list[Load] = field(default_factory=list)
    error: str | None = None

    @property
    def gain(self) -> float:
        return statistics.median(self.gains)

    @property
    def rate(self) -> float:
        return statistics.median(load.rate for load in self.loads)

    @property
    def median_ms(self) -> float:
        return statistics.median(load.median_ms for load in self.loads)

    @property
    def p99_ms(self) -> float:
        return statistics.median(load.p99_ms for load in self.loads)

    @property
    def alone_ms(self) -> float:
        return statistics.median(load.median_ms for load in self.alone)


Records = dict[Candidate | None, Record]
"""By candidate; None is the unbatched model."""


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        chosen: None where batching does not pay.
        why: in words.
        records: of the last comparison.
    """

    chosen: Candidate | None
    why: str
    records: Mapping[Candidate | None, Record]


def measurements(goal: Goal) -> int:
    """Returns the most measurements that a search makes."""
    count, total = len(grid(goal.callers)), 0
    while count > _FINALISTS:
        total += count + 1
        count = -(-count // 2)
    others = len(with_other_threads(grid(goal.callers)[0])) if goal.try_threads else 0
    return total + (count + others + 1) * (goal.rounds + 1)


def search(goal: Goal, serve: Serve, measured: Callable[[], None] = lambda: None) -> Outcome:
    """Looks for the best batching parameters.

    Args:
        serve: starts a model server with these candidates, and gives what measures them.
        measured: called after each measurement.

    Raises:
        StartError: the model server did not start.
        TuneError: the unbatched model can't be measured.
    """
    left = grid(goal.callers)
    with serve(left) as measure:
        records: Records = {}
        while len(left) > _FINALISTS:
            _round(goal, left, _told(measure, measured), records)
            left = _better_half(left, records)
    if goal.try_threads and left:
        left = [*left, *with_other_threads(left[0])]
    records = {}
    with serve(left) as measure:
        for number in range(goal.rounds):
            _round(goal, left[:: 1 if number % 2 else -1], _told(measure, measured), records)
        for candidate in (None, *left):
            record = records[candidate]
            if record.error is None:
                record.alone.append(_told(measure, measured)(candidate, 1, goal.seconds))
    return _outcome(goal, records)


def _told(measure: Measure, measured: Callable[[], None]) -> Measure:
    def measure_and_tell(candidate: Candidate | None, callers: int, seconds: float) -> Load:
        load = measure(candidate, callers, seconds)
        measured()
        return load

    return measure_and_tell


def _round(goal: Goal, left: Sequence[Candidate], measure: Measure, records: Records) -> None:
    """Measures each candidate that is left, and the unbatched model in between."""
    middle, loads = len(left) // 2, {}
    for candidate in (*left[:middle], None, *left[middle:]):
        record = records.setdefault(candidate, Record())
        if record.error is not None:
            continue
        try:
            loads[candidate] = measure(candidate, goal.callers, goal.seconds)
        except CallError as error:
            if candidate is None:
                raise TuneError(f"a call of the unbatched model failed: {error}") from error
            record.error = str(error)
    for candidate, load in loads.items():
        records[candidate].loads.append(load)
        records[candidate].gains.append(_gain(goal, load, loads[None]))


def _gain(goal: Goal, load: Load, off: Load) -> float:
    return load.rate / off.rate if goal.objective == "throughput" else off.p99_ms / load.p99_ms


def _better_half(left: Sequence[Candidate], records: Records) -> list[Candidate]:
    sound = [each for each in left if records[each].error is None]
    best_first = sorted(sound, key=lambda each: records[each].gain, reverse=True)
    return best_first[: max(_FINALISTS, -(-len(left) // 2))]


def _outcome(goal: Goal, records: Records) -> Outcome:
    good = {
        candidate: record
        for candidate, record in records.items()
        if candidate is not None and record.error is None
    }
    if not good:
        return Outcome(None, "a call failed with every candidate", records)
    if goal.max_p99_ms is not None:
        good = {each: good[each] for each in good if good[each].p99_ms <= goal.max_p99_ms}
        if not good:
            why = f"no candidate keeps the 99th percentile under {goal.max_p99_ms:g} ms"
            return Outcome(None, why, records)
    top = max(record.gain for record in good.values())
    chosen = min(each for each in good if good[each].gain >= top * (1 - CLEAR))
    gains = good[chosen].gains
    agreeing = sum(gain > 1 for gain in gains)
    unit = "images per second" if goal.objective == "throughput" else "99th percentile"
    told = (
        f"{good[chosen].gain:.2f} times as good as unbatched ({unit}; better in {agreeing} of"
        f" {len(gains)} rounds)"
    )
    if good[chosen].gain < 1 + CLEAR or agreeing < _AGREEING * len(gains):
        return Outcome(None, f"the best of them, {chosen}, is {told}", records)
    return Outcome(chosen, told, records)
