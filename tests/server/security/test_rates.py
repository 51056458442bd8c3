"""Token buckets: so many at once, so many a second, and a wait that is right."""

import threading

import pytest

from server.security.key_file import MOST_KEYS, digest
from server.security.rates import Buckets, Rate
from tests.server.security.helpers import Clock

KEY, OTHER = digest("key"), digest("other")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def buckets(clock: Clock) -> Buckets:
    return Buckets(clock)


def taken(buckets: Buckets, rate: Rate, count: int, key: bytes = KEY) -> int:
    return sum(buckets.take(key, rate) == 0 for _ in range(count))


@pytest.mark.parametrize(
    ("per_second", "burst", "expected"),
    [
        (0, None, None),
        (0, 9, None),
        (5, None, Rate(5, 10)),
        (0.1, None, Rate(0.1, 1)),
        (0.75, None, Rate(0.75, 2)),
        (3, 1, Rate(3, 1)),
        (1e-300, 1, Rate(1 / 86_400, 1)),
    ],
)
def test_rate(per_second: float, burst: int | None, expected: Rate | None) -> None:
    assert Rate.of(per_second, burst) == expected


@pytest.mark.parametrize("rate", [Rate(1, 1), Rate(7, 3), Rate(0.01, 5), Rate(10_000, 10_000)])
def test_burst_then_rate(buckets: Buckets, clock: Clock, rate: Rate) -> None:
    assert taken(buckets, rate, rate.burst + 1) == rate.burst
    for _ in range(10):
        wait = buckets.take(KEY, rate)
        assert wait == pytest.approx(1 / rate.per_second, rel=0.01)
        clock.now += wait / 2
        assert buckets.take(KEY, rate) == pytest.approx(wait / 2, rel=0.02)
        clock.now += wait / 2
        assert buckets.take(KEY, rate) == 0


def test_after_a_pause_there_is_one_burst_and_no_more(buckets: Buckets, clock: Clock) -> None:
    assert taken(buckets, Rate(2, 4), 9) == 4
    clock.now += 1
    assert taken(buckets, Rate(2, 4), 9) == 2
    clock.now += 1_000_000
    assert taken(buckets, Rate(2, 4), 9) == 4


def test_a_steady_caller_within_the_rate_is_never_refused(buckets: Buckets, clock: Clock) -> None:
    for _ in range(10_000):
        assert buckets.take(KEY, Rate(30, 1)) == 0
        clock.now += 1 / 30


def test_keys_have_buckets_of_their_own(buckets: Buckets) -> None:
    assert taken(buckets, Rate(1, 3), 9) == 3
    assert taken(buckets, Rate(1, 3), 9, OTHER) == 3


def test_a_rate_that_changes_counts_at_once(buckets: Buckets, clock: Clock) -> None:
    assert taken(buckets, Rate(0.001, 100), 200) == 100  # full again after more than a day
    wait = buckets.take(KEY, Rate(1, 2))
    assert 0 < wait <= 2
    clock.now += wait
    assert taken(buckets, Rate(1, 2), 9) == 1


def test_as_many_keys_as_a_file_may_have(buckets: Buckets) -> None:
    keys = [digest(str(number)) for number in range(MOST_KEYS)]
    for _ in range(2):
        for key in keys:
            assert buckets.take(key, Rate(1, 2)) == 0
    refused = sum(buckets.take(key, Rate(1, 2)) > 0 for key in keys)
    assert refused > 0.998 * MOST_KEYS  # a row that overflows errs in the caller's favour


def test_places_are_used_again(buckets: Buckets, clock: Clock) -> None:
    for number in range(3 * MOST_KEYS):
        clock.now += 1
        key = digest(str(number))
        assert [buckets.take(key, Rate(1, 1)) > 0 for _ in range(2)] == [False, True]


def test_a_key_whose_hash_begins_with_zeros(buckets: Buckets) -> None:
    assert taken(buckets, Rate(1, 2), 5, bytes(32)) == 2


def test_threads_share_a_bucket(buckets: Buckets) -> None:
    granted: list[int] = []
    threads = [
        threading.Thread(target=lambda: granted.append(taken(buckets, Rate(1, 100), 50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 100
