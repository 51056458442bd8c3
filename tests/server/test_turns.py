"""Turns: how many requests of a process are worked on at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from server.arrival import KEY, Arrival
from server.deadline import Deadline
from server.turns import Turns, away

MANY = 6


class Crowd:
    """An application that says how many are in it, and a part that only waits."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.inside = self.most = 0
        self._work = work
        self._lock = threading.Lock()

    def __call__(self, _environ: dict[str, Any], _start: Any) -> list[bytes]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._work()
        with self._lock:
            self.inside -= 1
        return [b""]


def ask(app: Any, method: str = "POST", seconds: float = 60.0) -> None:
    arrival = Arrival(Deadline.after(seconds), time.perf_counter())
    app({"REQUEST_METHOD": method, KEY: arrival}, None)


def ask_many(app: Any, **how: Any) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda _: ask(app, **how), range(MANY)))


@pytest.mark.parametrize(("method", "most"), [("POST", 2), ("GET", MANY)])
def test_so_many_posts_are_worked_on(method: str, most: int) -> None:
    full = threading.Barrier(most)
    crowd = Crowd(lambda: full.wait(60) and None)
    ask_many(Turns(2).around(crowd), method=method)
    assert crowd.most == most


def test_who_waits_for_others_lends_its_turn() -> None:
    """Only if all of them get that far, none has to wait for ever."""
    together = threading.Barrier(MANY)

    def work() -> None:
        with away():
            together.wait(60)

    ask_many(Turns(1).around(Crowd(work)))


def test_a_turn_comes_back_from_a_failure() -> None:
    def fail(_environ: dict[str, Any], _start: Any) -> list[bytes]:
        with away():
            raise KeyError

    app = Turns(1).around(fail)
    for _ in range(3):
        with pytest.raises(KeyError):
            ask(app)


def test_who_gets_none_in_time_goes_on_to_be_told_so() -> None:
    turns, came = Turns(1), []
    app = turns.around(lambda environ, _: came.append(environ) or [b""])
    turns.take()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask, app, seconds=0.01).result(60)
    assert len(came) == 1
    turns.give()
    ask(app)
    assert len(came) == 2


def test_a_thread_without_a_turn_may_wait_as_well() -> None:
    with away():
        pass
