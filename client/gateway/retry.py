"""When a request is sent again, and after which pause."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .steps import Answer, Outcome

#: Too many requests; unavailable: the gateway did not work on the request.
_BUSY = (429, 503)
_BAD_GATEWAY = 502
# Whether the request was worked on before the connection broke is unknown; asking a model twice
# does no harm.
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


@dataclass(frozen=True)
class Retry:
    """How often, and after which pauses, a request is sent again.

    The n-th pause is random between 0 and `first_seconds` · 2ⁿ⁻¹, at most `most_seconds`, so that
    many callers who were refused together don't come back together. Where the gateway says how
    long to wait (Retry-After), the pause is that much longer.

    Attributes:
        times: repetitions of a request at most; 0 is none.
        first_seconds: longest first pause.
        most_seconds: longest pause.
    """

    times: int = 4
    first_seconds: float = 0.25
    most_seconds: float = 8.0

    def pause(
        self, repeated: int, outcome: Outcome, chance: Callable[[], float] = random.random
    ) -> float | None:
        """Returns the seconds to wait before the request is sent again; None: it is not.

        Args:
            repeated: how often it has been sent again already.
            outcome: of the last time.
            chance: gives numbers from 0 to 1.
        """
        if repeated >= self.times or not _may_pass(outcome):
            return None
        # ldexp knows no overflow at the exponents that can be reached before the minimum.
        longest = min(self.most_seconds, math.ldexp(self.first_seconds, min(repeated, 60)))
        asked = outcome.retry_after if isinstance(outcome, Answer) else None
        return (asked or 0.0) + longest * chance()


def _may_pass(outcome: Outcome) -> bool:
    if not isinstance(outcome, Answer):
        return isinstance(outcome, _BROKEN)
    if outcome.status == _BAD_GATEWAY:
        # A proxy that found no gateway behind it; the gateway's own 502 would come again.
        return "problem+json" not in outcome.headers.get("Content-Type", "")
    return outcome.status in _BUSY
