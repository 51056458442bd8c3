"""What would keep the event loop's thread too long is done by other threads, in time or not at all.

A request that waits for one of them is counted as one that waits, as before its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from server import metrics, timing
from server.deadline import Deadline, passed
from server.greenlets import Threads

Args = ParamSpec("Args")
Result = TypeVar("Result")


class Heavy:
    """So many threads for heavy work.

    Args:
        most: how many.
        name: what they are called.
    """

    def __init__(self, most: int, name: str = "heavy") -> None:
        self._threads = Threads(most, name)

    def run(
        self,
        deadline: Deadline,
        function: Callable[Args, Result],
        *args: Args.args,
        **more: Args.kwargs,
    ) -> Result:
        """Returns what a function returns, or raises what it raises.

        Raises:
            Problem: the deadline has passed; work that has not begun by then never does.
        """
        waiting, since = metrics.Waiting(), time.perf_counter()

        def begun() -> Result:
            waiting.ends()
            timing.took("queue", time.perf_counter() - since)
            deadline.left()
            return function(*args, **more)

        try:
            return self._threads.run_within(deadline.left(), begun)
        except TimeoutError:
            raise passed() from None
        finally:
            waiting.ends()

    def run_unless(
        self,
        light: bool,
        deadline: Deadline,
        function: Callable[Args, Result],
        *args: Args.args,
        **more: Args.kwargs,
    ) -> Result:
        """The same, but light work is done at once, by the caller's own thread."""
        if light:
            return function(*args, **more)
        return self.run(deadline, function, *args, **more)
