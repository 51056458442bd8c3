"""How many requests are in flight, against servers with room for more or fewer."""

import pytest

from client.scoring.throttle import Throttle


class Server:
    """Simulated time: as many requests a second as the limit, up to the server's capacity."""

    def __init__(self, capacity: int, most: int = 64) -> None:
        self.now, self.capacity = 0.0, capacity
        self.throttle = Throttle(most, clock=lambda: self.now)

    def run(self, seconds: float) -> list[int]:
        limits, end = [], self.now + seconds
        while self.now < end:
            self.now += 1 / (10 * min(self.throttle.limit, self.capacity))
            self.throttle.answered(8)
            limits.append(self.throttle.limit)
        return limits


def test_it_grows_while_that_brings_throughput() -> None:
    limits = Server(capacity=20).run(60)
    assert 16 <= limits[-1] <= 22
    assert max(limits) <= 22


def test_it_never_passes_its_bound() -> None:
    assert max(Server(capacity=100, most=6).run(60)) == 6
    assert Throttle(1).limit == 1


def test_a_refusal_halves_it_once_a_storm() -> None:
    server = Server(capacity=20)
    server.run(60)
    before = server.throttle.limit
    for _ in range(10):
        server.throttle.refused()
    assert server.throttle.limit == before // 2
    server.now += 2
    server.throttle.refused()
    assert server.throttle.limit == before // 4
    assert server.run(60)[-1] >= 16


def test_it_finds_a_new_capacity() -> None:
    server = Server(capacity=30)
    server.run(60)
    server.capacity = 5
    for _ in range(4):
        server.throttle.refused()
        server.run(5)
    assert server.throttle.limit < 12


@pytest.mark.parametrize("start", [1, 4])
def test_it_never_falls_below_one(start: int) -> None:
    now = [0.0]
    throttle = Throttle(8, start=start, clock=lambda: now[0])
    for _ in range(10):
        now[0] += 2
        throttle.refused()
    assert throttle.limit == 1
