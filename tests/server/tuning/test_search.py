"""The search on made machines, whose speed and noise are known."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from server.tuning.callers import Load
from server.tuning.candidate import Candidate
from server.tuning.errors import CallError, TuneError
from server.tuning.search import Goal, measurements, search
from server.tuning.serving import Measure

GOAL = Goal(callers=32, seconds=1, rounds=5)
Speed = Callable[[Candidate], float]


@dataclass
class Machine:
    """A machine: how many times as fast a candidate is as the unbatched model.

    Attributes:
        noise: standard deviation of a measurement, as a share of it.
        drift: the machine's own speed changes from one measurement to the next by up to so much.
        fails: candidates whose calls fail.
    """

    speed: Speed
    seed: int = 0
    noise: float = 0.02
    drift: float = 0.05
    fails: Callable[[Candidate | None], bool] = lambda _: False
    measured: int = 0
    pace: float = 1.0
    served: list[Sequence[Candidate]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @contextmanager
    def serve(self, candidates: Sequence[Candidate]) -> Iterator[Measure]:
        self.served.append(candidates)

        def measure(candidate: Candidate | None, callers: int, seconds: float) -> Load:
            assert candidate is None or candidate in candidates
            if self.fails(candidate):
                raise CallError("UNAVAILABLE: the queue is full")
            self.pace *= 1 + self.rng.uniform(-self.drift, self.drift)
            speed = self.speed(candidate) if candidate else 1.0
            rate = 300 * speed * self.pace * (1 + self.rng.normal(0, self.noise))
            return Load(rate, 1000 * callers / rate, 2000 * callers / rate)

        yield measure

    def count(self) -> None:
        self.measured += 1


def best_at_eight(candidate: Candidate) -> float:
    """Batches of 8 are best, waiting costs, and the threads don't matter."""
    return 1.5 - 0.2 * abs(np.log2(candidate.rows / 8)) - candidate.wait_micros / 50_000


@pytest.mark.parametrize("seed", range(20))
def test_the_same_is_found_again_in_spite_of_noise(seed: int) -> None:
    chosen = search(GOAL, Machine(best_at_eight, seed).serve).chosen
    assert chosen is not None
    assert (chosen.rows, chosen.wait_micros) == (8, 0)


@pytest.mark.parametrize("speed", [1.0, 0.9, 1.02])
@pytest.mark.parametrize("seed", range(10))
def test_what_is_not_clearly_better_is_not_chosen(speed: float, seed: int) -> None:
    machine = Machine(lambda _: speed, seed, noise=0.005, drift=0.002)
    outcome = search(GOAL, machine.serve)
    assert outcome.chosen is None
    assert "times as good as unbatched" in outcome.why


def test_of_equals_the_one_that_costs_a_caller_least() -> None:
    machine = Machine(lambda each: 1.3 + each.rows / 10_000, noise=0.0, drift=0.0)
    chosen = search(GOAL, machine.serve).chosen
    assert chosen is not None
    assert chosen == min(machine.served[-1])
    assert chosen.wait_micros == 0


def test_threads_are_tried_only_where_they_count() -> None:
    machine = Machine(best_at_eight)
    search(replace(GOAL, try_threads=False), machine.serve)
    (threads,) = {each.threads for each in machine.served[-1]}
    doubled = Machine(lambda each: 2.0 if each.threads == 2 * threads else 1.5)
    chosen = search(GOAL, doubled.serve).chosen
    assert chosen is not None
    assert chosen.threads == 2 * threads


def test_a_failing_candidate_is_out_and_says_why() -> None:
    machine = Machine(best_at_eight, fails=lambda each: each is not None and each.rows == 8)
    outcome = search(GOAL, machine.serve)
    assert outcome.chosen is not None
    assert outcome.chosen.rows in (4, 16)
    everyone = search(GOAL, Machine(best_at_eight, fails=lambda each: each is not None).serve)
    assert everyone.chosen is None
    with pytest.raises(TuneError, match="unbatched model failed: UNAVAILABLE: the queue is full"):
        search(GOAL, Machine(best_at_eight, fails=lambda each: each is None).serve)


def test_one_that_fails_late_is_out_too() -> None:
    machine = Machine(best_at_eight)
    machine.fails = lambda each: each is not None and not each.wait_micros and machine.measured > 30
    outcome = search(GOAL, machine.serve, machine.count)
    failed = {each for each, record in outcome.records.items() if record.error is not None}
    assert failed
    assert outcome.chosen is not None
    assert outcome.chosen not in failed


def test_a_limit_on_the_99th_percentile() -> None:
    quick = search(replace(GOAL, max_p99_ms=160), Machine(best_at_eight, drift=0.0).serve)
    assert quick.chosen is not None
    assert quick.records[quick.chosen].p99_ms <= 160
    slow = search(replace(GOAL, max_p99_ms=50), Machine(best_at_eight, drift=0.0).serve)
    assert slow.chosen is None
    assert slow.why == "no candidate keeps the 99th percentile under 50 ms"


def test_latency_is_the_99th_percentile() -> None:
    outcome = search(replace(GOAL, objective="latency"), Machine(best_at_eight).serve)
    assert outcome.chosen is not None
    assert outcome.chosen.rows == 8
    assert "99th percentile" in outcome.why


@pytest.mark.parametrize("callers", [2, 4, 32])
@pytest.mark.parametrize("try_threads", [True, False])
def test_the_number_of_measurements_is_known_before(callers: int, try_threads: bool) -> None:
    goal = replace(GOAL, callers=callers, try_threads=try_threads)
    machine = Machine(best_at_eight)
    search(goal, machine.serve, machine.count)
    assert machine.measured == measurements(goal)
