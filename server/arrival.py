"""What the HTTP front knows of a request before the application sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from server.deadline import Deadline

#: Where it stands in the WSGI environ.
KEY = "lince.arrival"


@dataclass(frozen=True)
class Arrival:
    """Moments on the clocks `time.monotonic` (deadline) and `time.perf_counter` (the others).

    Attributes:
        deadline: when the caller, or the gateway, gives up.
        head: when the request's head had been read.
        queued: when its body was there, and it began to wait for a thread.
    """

    deadline: Deadline
    head: float
    queued: float = field(default_factory=time.perf_counter)
