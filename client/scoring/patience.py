"""Waiting for what passes: growing pauses, an end to them, and a stop in between."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from client.scoring.errors import PatienceError


@dataclass(frozen=True)
class Waits:
    """How long a run waits for what may pass.

    Attributes:
        first: seconds of the first pause; each further one is twice as long.
        longest: seconds of the longest pause.
        patience: seconds without any progress until the run ends.
        start: the same before the first answer: an address may be mistyped.
        gone: seconds for which the pinned version may be missing while servers change.
        strikes: failures of a picture while others pass, until it gets its error.
    """

    first: float = 0.25
    longest: float = 10.0
    patience: float = 600.0
    start: float = 15.0
    gone: float = 10.0
    strikes: int = 5


class StoppedError(Exception):
    """The run ends: nobody waits for the answer any more."""


class Patience:
    """What the threads of a run share to wait; any progress of one gives all new patience."""

    def __init__(self, waits: Waits) -> None:
        self.waits = waits
        self._stop = threading.Event()
        self._failing_since: float | None = None
        self._going = False

    def progress(self) -> None:
        """Something went forward."""
        self._failing_since, self._going = None, True

    def stop(self) -> None:
        """Ends all waits, now and to come."""
        self._stop.set()

    def check(self) -> None:
        """Raises StoppedError if the run ends."""
        if self._stop.is_set():
            raise StoppedError

    def pause(self, number: int, why: str, asked: float = 0.0) -> None:
        """Waits before another try.

        Args:
            number: how many pauses there were for this before.
            why: what is waited for to pass.
            asked: seconds that the server asks to wait; the pause is that much longer, unless
                patience ends before.

        Raises:
            PatienceError: nothing went forward for too long.
            StoppedError: the run ends.
        """
        since = self._failing_since
        if since is None:
            since = self._failing_since = time.monotonic()
        longest = self.waits.patience if self._going else min(self.waits.start, self.waits.patience)
        if (waited := time.monotonic() - since) > longest:
            raise PatienceError(f"{why}; nothing went forward for {waited:.0f} s")
        seconds = min(self.waits.longest, self.waits.first * 2 ** min(number, 30))
        # Not all at the same moment; this is no secret.
        seconds *= random.uniform(0.5, 1.0)  # noqa: S311
        if self._stop.wait(min(asked, longest - waited) + seconds):
            raise StoppedError
