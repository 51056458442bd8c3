"""A circuit breaker: a model server that hangs or is away isn't asked again by every request.

Each request that waits for a server that hangs holds a thread until its deadline. After some
failures in a row the breaker opens: requests are refused at once, for a moment; then one of them
tries, and the breaker closes when it succeeds (M. Nygard, Release It!, 2nd edition, chapter 5).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server import metrics
from server.problems import UNAVAILABLE, Problem

_CLOSED, _OPEN, _TRYING = metrics.BREAKER_STATES


@dataclass
class Breaker:
    """The breaker of one model; safe for threads.

    Attributes:
        name: of the model, for the caller who is refused.
        failures_to_open: how many failures in a row open it.
        open_seconds: how long it then stays open.
        clock: seconds, monotonic.
    """

    name: str
    failures_to_open: int = 5
    open_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _failures: int = 0
    _state: str = _CLOSED
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        metrics.breaker_is(self.name, self._state)

    @property
    def state(self) -> str:
        """One of `metrics.BREAKER_STATES`."""
        return self._state

    def check(self, seconds: float) -> None:
        """Lets a call pass; who passes says how it went, by `succeeded` or `failed`.

        Args:
            seconds: that the call may take; a try has so long before another one is let through.

        Raises:
            Problem: the breaker is open.
        """
        if self._state == _CLOSED:
            return
        with self._lock:
            if self._state == _CLOSED:
                return
            if self.clock() < self._until:
                metrics.rejected("breaker-open")
                raise Problem(
                    UNAVAILABLE, f"the model server of {self.name} failed again and again just now"
                )
            self._become(_TRYING)
            self._until = self.clock() + max(seconds, self.open_seconds)

    def succeeded(self) -> None:
        """The model server answered, be it with an error of the caller's."""
        if self._failures or self._state != _CLOSED:
            with self._lock:
                self._failures = 0
                self._become(_CLOSED)

    def failed(self, weight: int = 1) -> None:
        """The model server could not be reached, or did not answer in time.

        Args:
            weight: as how many failures it counts.
        """
        with self._lock:
            self._failures += weight
            if self._state == _TRYING or self._failures >= self.failures_to_open:
                self._become(_OPEN)
                self._until = self.clock() + self.open_seconds

    def _become(self, state: str) -> None:
        self._state = state
        metrics.breaker_is(self.name, state)
