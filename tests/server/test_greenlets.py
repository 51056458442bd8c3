"""Requests in greenlets: who waits keeps nobody else waiting, and hears what it waits for."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from server.greenlets import Signal, Threads, begin, give_all, sleep

MANY = 50

_name: contextvars.ContextVar[str] = contextvars.ContextVar("name")


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Runs functions as requests of one loop; what they return or raise."""

    async def scenario() -> list[Any]:
        return await asyncio.gather(*map(begin, functions), return_exceptions=True)

    return asyncio.run(scenario())


def test_requests_wait_side_by_side_in_one_thread() -> None:
    all_begun: list[Signal] = []
    begun: list[int] = []

    def first() -> int:
        all_begun.append(Signal())
        assert all_begun[0].wait(30)
        return threading.get_ident()

    def other() -> int:
        begun.append(1)
        if len(begun) == MANY:
            all_begun[0].give()
        return threading.get_ident()

    assert set(together(first, *[other] * MANY)) == {threading.get_ident()}


def test_each_has_the_own_result_and_the_own_error() -> None:
    def fails() -> None:
        sleep(0.001)
        raise KeyError("mine")

    def answers() -> int:
        sleep(0.002)
        return 7

    error, number = together(fails, answers)
    assert (repr(error), number) == ("KeyError('mine')", 7)


@pytest.mark.parametrize("in_a_request", [True, False])
def test_a_signal_of_another_thread(in_a_request: bool) -> None:
    def work() -> tuple[bool, bool]:
        late, soon = Signal(), Signal()
        threading.Timer(0.01, soon.give).start()
        return late.wait(0.001), soon.wait(30)

    assert (together(work)[0] if in_a_request else work()) == (False, True)


@pytest.mark.parametrize("in_a_request", [True, False])
def test_a_signal_that_was_given_before_or_too_late(in_a_request: bool) -> None:
    def work() -> list[bool]:
        late, early = Signal(), Signal()
        found = [late.wait(0.001)]
        give_all([late, early])
        sleep(0.01)
        return [*found, early.wait(30), early.wait(30) if in_a_request else True]

    assert (together(work)[0] if in_a_request else work()) == [False, True, True]


def test_signals_given_together_reach_all() -> None:
    signals: list[Signal] = []

    def waits() -> bool:
        signals.append(Signal())
        return signals[-1].wait(30)

    def gives() -> None:
        Threads(1, "gives").run(give_all, signals)

    assert together(*[waits] * MANY, gives) == [True] * MANY + [None]


def test_other_requests_go_on_while_a_thread_works() -> None:
    threads, go = Threads(1, "slow"), threading.Event()

    def slow() -> int:
        threads.run(go.wait, 30)
        return threads.run(threading.get_ident)

    def quick() -> int:
        go.set()  # only if this one has its turn, the other comes to an end
        return threading.get_ident()

    one, two = together(slow, quick)
    assert two == threading.get_ident() != one


def test_so_many_threads_work_at_a_time() -> None:
    threads = Threads(2, "few")
    lock, inside, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1

    together(*[lambda: threads.run(work)] * 10)
    assert 1 <= most <= 2


def test_a_thread_s_error_is_the_request_s() -> None:
    def fail(text: str) -> None:
        raise KeyError(text)

    (error,) = together(lambda: Threads(1, "fails").run(fail, "far"))
    assert repr(error) == "KeyError('far')"


def test_a_request_takes_its_context_along() -> None:
    threads = Threads(1, "context")

    def work(name: str) -> tuple[str, str]:
        _name.set(name)
        sleep(0.001)
        return _name.get(), threads.run(_name.get)

    answers = together(*[lambda name=name: work(name) for name in "abc"])  # type: ignore[misc]
    assert answers == [(name, name) for name in "abc"]


def test_outside_of_a_request_the_work_is_done_at_once() -> None:
    assert Threads(1, "idle").run(threading.get_ident) == threading.get_ident()
    sleep(0.001)
