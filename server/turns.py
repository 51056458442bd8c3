"""Turns: only so many requests of a process are worked on at a time; the others wait.

More threads that run Python than there are CPUs only take its lock (the GIL) out of each other's
hands, at every read, write and picture: with thirty requests in hand that costs more than to answer
them. So who works holds a turn, and lends it to others while the model server works for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from server.arrival import KEY
from server.wsgi_call import App

_this_thread = threading.local()


class Turns:
    """So many turns; safe for threads.

    Args:
        at_once: how many there are.
    """

    def __init__(self, at_once: int) -> None:
        # Cheaper than a Semaphore, which is made of Python.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(at_once):
            self._free.put(None)

    def around(self, app: App) -> App:
        """Returns the application with a turn for each POST: probes and pages wait for nobody.

        Who gets none before its deadline goes on without one, to be told so by the application.
        """

        def taking_turns(environ: dict[str, Any], start_response: Any) -> Any:
            if environ["REQUEST_METHOD"] != "POST":
                return app(environ, start_response)
            arrival = environ.get(KEY)
            self.take(max(0.0, arrival.deadline.at - time.monotonic()) if arrival else None)
            try:
                return app(environ, start_response)
            finally:
                self.give()

        return taking_turns

    def take(self, seconds: float | None = None) -> None:
        """Waits so long for a turn, None for ever."""
        try:
            self._free.get(timeout=seconds)
        except Empty:
            return
        _this_thread.turns = self

    def give(self) -> None:
        """Gives this thread's turn back, if it has one."""
        if getattr(_this_thread, "turns", None) is self:
            _this_thread.turns = None
            self._free.put(None)


@contextmanager
def away() -> Iterator[None]:
    """Lends this thread's turn, if it has one, for a block in which it only waits."""
    turns: Turns | None = getattr(_this_thread, "turns", None)
    if turns is None:
        yield
        return
    turns.give()
    try:
        yield
    finally:
        turns.take()
