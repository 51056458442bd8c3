"""The time that a request has left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from server.problems import BAD_PARAMETER, TIMEOUT, Problem

#: The header in which a caller says how many seconds it will wait, from the head on.
HEADER = "X-Request-Timeout"


@dataclass(frozen=True, order=True)
class Deadline:
    """A moment on the monotonic clock, in seconds; the least is the nearest."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Returns the seconds left, more than 0.

        Raises:
            Problem: none is left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise passed()
        return left


def passed() -> Problem:
    """Returns the problem of a request that has no time left."""
    return Problem(TIMEOUT, "the request's deadline has passed")


def asked_seconds(header: str | None) -> float:
    """Returns the seconds that a caller will wait; for ever where it doesn't say.

    Raises:
        Problem: the header is no number above 0.
    """
    if header is None:
        return math.inf
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise Problem(BAD_PARAMETER, f"{HEADER} is not a number of seconds above 0")
    return seconds
