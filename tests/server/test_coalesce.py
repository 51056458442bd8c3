"""Shared calls: each caller gets its own answer, and nothing of the others' troubles."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from server.coalesce import Coalescer
from server.deadline import Deadline
from server.greenlets import Threads
from server.problems import BAD_MODEL_ANSWER, UNAVAILABLE, Problem, VersionGoneError

MOST = 8


class Model:
    """Answers rows with their double; notes its calls; can be held up and can fail.

    Attributes:
        calls: the rows of each call.
        most_at_once: of the calls that were under way together.
        gate: a call waits until it is open.
        failing: raises what is wrong with the rows of a call.
    """

    def __init__(self) -> None:
        self.calls: list[np.ndarray] = []
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failing: Callable[[np.ndarray], Exception | None] = lambda _: None
        self._at_once = 0
        self._lock = threading.Lock()

    def __call__(self, rows: np.ndarray, _deadline: Deadline) -> np.ndarray:
        with self._lock:
            self.calls.append(rows)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            assert self.gate.wait(30)
            time.sleep(random.random() / 500)
            if error := self.failing(rows):
                raise error
            return rows * 2
        finally:
            with self._lock:
                self._at_once -= 1


@pytest.fixture
def model() -> Model:
    return Model()


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int64)[:, np.newaxis]


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline.after(seconds)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_one_request_is_one_call_of_its_own_rows(model: Model) -> None:
    mine = rows(1, 2)
    assert Coalescer(model, MOST, 1, Threads(4, "call")).run(mine, soon()).tolist() == [[2], [4]]
    assert model.calls[0] is mine  # not copied


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_everybody_gets_the_own_answer(model: Model, at_once: int) -> None:
    coalescer = Coalescer(model, MOST, at_once, Threads(4, "call"))

    def caller(number: int) -> None:
        chance = random.Random(number)
        for turn in range(60):
            count = chance.choice((1, 1, 1, 2, 3, MOST, MOST + 3))
            mine = rows(*(number * 10**6 + turn * 100 + n for n in range(count)))
            assert (coalescer.run(mine, soon()) == mine * 2).all()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(caller, range(16)))
    sizes = [len(call) for call in model.calls]
    assert model.most_at_once <= at_once
    assert max(sizes) <= MOST + 3
    assert not [size for size in sizes if size > MOST and size != MOST + 3]
    assert len(model.calls) < 16 * 60
    assert coalescer.run(rows(5), soon()).tolist() == [[10]]


def held_up(model: Model, coalescer: Coalescer, pool: ThreadPoolExecutor, *jobs: Any) -> list[Any]:
    """Runs jobs (rows, deadline) that have to wait for a call that is held up."""
    model.gate.clear()
    first = pool.submit(coalescer.run, rows(0), soon())
    wait_for(lambda: len(model.calls) == 1)
    others = []
    for count, (values, deadline) in enumerate(jobs, 1):
        others.append(pool.submit(coalescer.run, values, deadline))
        wait_for(lambda count=count: len(coalescer._waiting) == count)  # type: ignore[misc]
    return [first, *others]


def test_what_arrives_during_a_call_is_the_next_call(model: Model) -> None:
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    with ThreadPoolExecutor(9) as pool:
        jobs = [(rows(n), soon()) for n in range(1, 6)]
        running = held_up(model, coalescer, pool, *jobs)
        model.gate.set()
        assert [run.result().tolist() for run in running] == [[[2 * n]] for n in range(6)]
    assert [len(call) for call in model.calls] == [1, 5]


def test_a_deadline_that_passes_is_nobody_elses(model: Model) -> None:
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    with ThreadPoolExecutor(9) as pool:
        jobs = [(rows(1), soon()), (rows(2), soon(0.05)), (rows(3), soon())]
        first, one, late, three = held_up(model, coalescer, pool, *jobs)
        with pytest.raises(Problem, match="deadline has passed"):
            late.result()
        model.gate.set()
        assert [run.result().tolist() for run in (first, one, three)] == [[[0]], [[2]], [[6]]]
    assert model.calls[1].tolist() == [[1], [3]]


def test_a_call_for_others_keeps_nobody_beyond_the_own_deadline(model: Model) -> None:
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    called = threading.Event()
    over = threading.Event()

    def hold_up(values: np.ndarray) -> None:
        if 2 in values:
            called.set()
            over.wait(30)

    model.failing = hold_up
    with ThreadPoolExecutor(9) as pool:
        # The first in turn is the most impatient.
        _, hasty, patient = held_up(model, coalescer, pool, (rows(1), soon(0.5)), (rows(2), soon()))
        model.gate.set()
        assert called.wait(30)
        with pytest.raises(Problem, match="deadline has passed"):
            hasty.result(20)
        over.set()
        assert patient.result().tolist() == [[4]]


def test_a_caller_that_is_ended_within_the_call_leaves_the_others_theirs(model: Model) -> None:
    model.failing = lambda values: SystemExit() if len(values) > 1 else None  # type: ignore[assignment,return-value]
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    with ThreadPoolExecutor(9) as pool:
        _, one, two = held_up(model, coalescer, pool, (rows(1), soon()), (rows(2), soon()))
        model.gate.set()
        assert [run.result(20).tolist() for run in (one, two)] == [[[2]], [[4]]]
    wait_for(lambda: coalescer._calling == 0)


def test_a_deadline_that_passes_during_the_call(model: Model) -> None:
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    late_is_gone = threading.Event()

    def hold_up(values: np.ndarray) -> None:
        if 2 in values:
            late_is_gone.wait(30)

    model.failing = hold_up
    with ThreadPoolExecutor(9) as pool:
        _, one, late = held_up(model, coalescer, pool, (rows(1), soon()), (rows(2), soon(0.3)))
        model.gate.set()
        with pytest.raises(Problem):
            late.result()
        late_is_gone.set()
        assert one.result().tolist() == [[2]]


def test_wrong_rows_are_nobody_elses(model: Model) -> None:
    def failing(values: np.ndarray) -> Exception | None:
        return Problem(BAD_MODEL_ANSWER, "13") if 13 in values else None

    model.failing = failing
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    with ThreadPoolExecutor(9) as pool:
        jobs = [(rows(1), soon()), (rows(13), soon()), (rows(3), soon())]
        _, one, wrong, three = held_up(model, coalescer, pool, *jobs)
        model.gate.set()
        with pytest.raises(Problem, match="13"):
            wrong.result()
        assert (one.result().tolist(), three.result().tolist()) == ([[2]], [[6]])


@pytest.mark.parametrize("error", [Problem(UNAVAILABLE, "away"), VersionGoneError("gone")])
def test_what_befalls_the_call_befalls_all(model: Model, error: Exception) -> None:
    model.failing = lambda values: error if len(values) > 1 else None
    coalescer = Coalescer(model, MOST, 1, Threads(4, "call"))
    with ThreadPoolExecutor(9) as pool:
        _, *others = held_up(model, coalescer, pool, (rows(1), soon()), (rows(2), soon()))
        model.gate.set()
        for run in others:
            with pytest.raises(type(error)):
                run.result()
    assert len(model.calls) == 2  # and isn't repeated for each
    assert coalescer.run(rows(7), soon()).tolist() == [[14]]


def test_deadlines_and_failures_at_random_lose_no_turn(model: Model) -> None:
    model.failing = lambda values: (
        Problem(BAD_MODEL_ANSWER, "wrong") if (values % 7 == 3).any() else None
    )
    coalescer = Coalescer(model, MOST, 2, Threads(4, "call"))
    blamed: dict[bool, set[bool]] = {True: set(), False: set()}

    def caller(number: int) -> None:
        chance = random.Random(number)
        for _ in range(80):
            value = chance.randrange(1000)
            try:
                answer = coalescer.run(rows(value), soon(chance.choice((0.001, 0.003, 30.0))))
            except Problem as problem:
                blamed[problem.kind is BAD_MODEL_ANSWER].add(value % 7 == 3)
            else:
                assert answer.tolist() == [[value * 2]]
                assert value % 7 != 3

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(caller, range(12)))
    assert blamed[True] == {True}  # only who had wrong rows heard of them
    assert not coalescer._waiting
    wait_for(lambda: coalescer._calling == 0)  # a moment after the last answer
