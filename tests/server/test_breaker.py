"""The circuit breaker."""

import pytest

from server import metrics
from server.breaker import Breaker
from server.calls import Calls
from server.deadline import Deadline
from server.greenlets import Threads
from server.problems import Problem
from tests.server.figures import figure


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("pets", failures_to_open=3, open_seconds=1.0, clock=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(3):
        breaker.check(5.0)
        breaker.failed()
    return breaker


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    opened(breaker)
    assert breaker.state == "open"
    with pytest.raises(Problem, match="pets failed again and again"):
        breaker.check(5.0)


def test_a_success_between_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    breaker.check(5.0)


def test_after_a_while_one_call_tries(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.0
    breaker.check(5.0)
    assert breaker.state == "half-open"
    with pytest.raises(Problem):
        breaker.check(5.0)


def test_its_state_is_a_figure(breaker: Breaker, clock: Clock) -> None:
    def shown() -> list[str]:
        states = metrics.BREAKER_STATES
        return [s for s in states if figure("lince_breaker_state", model="pets", state=s)]

    assert shown() == ["closed"]
    opened(breaker)
    assert shown() == ["open"]
    clock.now += 1.0
    breaker.check(5.0)
    assert shown() == ["half-open"]


def test_a_call_without_time_is_no_try() -> None:
    calls = Calls(timeout_seconds=10.0, threads=Threads(1, "call"))
    breaker = calls._breakers["m"] = Breaker("m", failures_to_open=1, open_seconds=0.0)
    breaker.failed()
    with pytest.raises(Problem, match="deadline has passed"):
        calls(lambda *_: None, None, "m", Deadline.after(-1))
    assert breaker.state == "open"


def test_a_try_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.0
    breaker.check(5.0)
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.check(5.0)
    breaker.failed()  # what was before is forgotten
    assert breaker.state == "closed"


def test_a_try_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.0
    breaker.check(5.0)
    breaker.failed()
    assert breaker.state == "open"
    with pytest.raises(Problem):
        breaker.check(5.0)


def test_a_try_that_never_ends_does_not_block_for_ever(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.0
    breaker.check(5.0)
    clock.now += 4.0
    with pytest.raises(Problem):
        breaker.check(5.0)
    clock.now += 1.0
    breaker.check(5.0)


def test_a_call_that_hung_counts_more(breaker: Breaker) -> None:
    breaker.failed(weight=3)
    assert breaker.state == "open"
