"""Identifiers that differ and are no secret: of requests, traces and spans."""

from __future__ import annotations

import os
import random

# The system's own generator would be asked several times a request, and each time another thread
# takes Python's lock. A fork makes a process with the same numbers: it gets a seed of its own.
_chance = random.Random()  # noqa: S311 - no secrets
os.register_at_fork(after_in_child=_chance.seed)


def hexadecimal(digits: int) -> str:
    """Returns so many hexadecimal digits at random, not all 0."""
    return f"{_chance.randrange(1, 16**digits):0{digits}x}"
