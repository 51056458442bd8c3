"""How many requests are in flight: as many as bring throughput, fewer when the server refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# An interval of measurement: at least so long, and so many requests for each one in flight.
_SECONDS, _ROUNDS = 0.5, 2
# One more request in flight must bring this much, else it is taken back.
_GAIN = 1.03
# Intervals at a limit that brought nothing more, until one more is tried again.
_HOLD = 8
# Refusals within this time are of one storm.
_STORM_SECONDS = 1.0


class Throttle:
    """Additive increase while throughput grows, multiplicative decrease at a refusal.

    Safe for threads.

    Args:
        most: bound of the limit.
        start: the first limit.
        clock: seconds, for tests.
    """

    def __init__(
        self, most: int, *, start: int = 4, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = min(start, most)
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = 0.0
        self._hold = 0
        self._grown = False
        self._refused_at = -_STORM_SECONDS
        self._begin()

    def _begin(self) -> None:
        self._since, self._images, self._requests = self._clock(), 0, 0

    def answered(self, images: int) -> None:
        """Counts a request that was answered."""
        with self._lock:
            self._images += images
            self._requests += 1
            seconds = self._clock() - self._since
            if seconds >= _SECONDS and self._requests >= _ROUNDS * self.limit:
                self._adjust(self._images / seconds)
                self._begin()

    def refused(self) -> None:
        """Counts a request that the server had no room for: the limit is halved."""
        with self._lock:
            now = self._clock()
            if now - self._refused_at >= _STORM_SECONDS:
                self.limit = max(1, self.limit // 2)
                self._refused_at = now
            self._hold, self._rate, self._grown = 2, 0.0, False
            self._begin()

    def _adjust(self, rate: float) -> None:
        grew = rate > self._rate * _GAIN
        if self._grown and not grew:
            self.limit -= 1
            self._grown, self._hold = False, _HOLD
        elif self._hold and not self._grown:
            self._hold -= 1
            self._rate = rate
        elif self.limit < self._most:
            self.limit += 1
            self._grown, self._rate = True, rate
