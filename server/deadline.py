"""The time that a request has left."""

from __future__ import annotations

import time
from dataclasses import dataclass

from server.problems import TIMEOUT, Problem


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

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
            raise Problem(TIMEOUT, "the request's deadline has passed")
        return left
