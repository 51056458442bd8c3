"""Requests as greenlets of one thread: who waits gives the thread to the others.

More threads that run Python only take its lock (the GIL) out of each other's hands, at every read,
write and picture: with thirty requests in hand that costs more than to answer them. So a process
runs all of them in the thread of its event loop, as gevent does, and hands to other threads what
waits for the model server, and what would keep the others waiting for too long.

Outside of such a request, in a test or in a probe's own thread, all of this simply blocks.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

Args = ParamSpec("Args")
Result = TypeVar("Result")


class _Request(greenlet):
    loop: asyncio.AbstractEventLoop


def begin(
    function: Callable[Args, Result], *args: Args.args, **more: Args.kwargs
) -> asyncio.Future[Result]:
    """Runs a function in a greenlet, until it waits; to be called in an event loop.

    Returns:
        what the function will return or raise.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            result = function(*args, **more)
        except GreenletExit:  # nobody is left to go on with it
            raise
        except BaseException as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    request = _Request(work)
    request.loop = loop
    request.switch()
    return future


class Signal:
    """Is given once, by any thread, to the one that has made it and waits for it."""

    def __init__(self) -> None:
        here = getcurrent()
        self._request = here if isinstance(here, _Request) else None
        self._given = self._waits = False
        if self._request is None:
            # Cheaper than an Event, which is made of Python.
            self._queue: SimpleQueue[None] = SimpleQueue()

    def give(self) -> None:
        give_all([self])

    def wait(self, seconds: float | None = None) -> bool:
        """Waits so long, None for ever; tells whether the signal was given."""
        if self._request is None:
            try:
                self._queue.get(timeout=seconds)
            except Empty:
                return False
            return True
        if not self._given:
            timer = None
            if seconds is not None:
                # In no context: asyncio keeps cancelled timers, and with the request's own they
                # would keep its body.
                nothing = contextvars.Context()
                timer = self._request.loop.call_later(seconds, self._go_on, context=nothing)
            self._waits = True
            parent = self._request.parent
            assert parent is not None, "a request is begun by its loop's thread"
            parent.switch()
            if timer is not None:
                timer.cancel()
        return self._given

    def _wake(self) -> None:
        self._given = True
        self._go_on()

    def _go_on(self) -> None:
        if self._waits:
            self._waits = False
            assert self._request is not None
            self._request.switch()


def give_all(signals: Iterable[Signal]) -> None:
    """Gives signals; those of one loop cost it one look at what has come from other threads."""
    loops: dict[asyncio.AbstractEventLoop, list[Signal]] = {}
    for signal in signals:
        if signal._request is None:
            signal._queue.put(None)
        else:
            loops.setdefault(signal._request.loop, []).append(signal)
    for loop, those in loops.items():
        loop.call_soon_threadsafe(_wake_all, loop, those)


def _wake_all(loop: asyncio.AbstractEventLoop, signals: list[Signal]) -> None:
    for signal in signals[1:]:
        loop.call_soon(signal._wake)  # what else has come has its turn between them
    signals[0]._wake()


def sleep(seconds: float) -> None:
    Signal().wait(seconds)


class Threads:
    """Threads beside the event loop's.

    Args:
        most: how many.
        name: what they are called.
    """

    def __init__(self, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)

    def start(self, function: Callable[[], None]) -> None:
        """Has a function run, and does not wait for it."""
        self._pool.submit(function)

    def run(
        self, function: Callable[Args, Result], *args: Args.args, **more: Args.kwargs
    ) -> Result:
        """Returns what a function returns, or raises what it raises.

        In a request's greenlet, other requests go on meanwhile. Elsewhere there is nobody to wait
        for the thread, and it does the work itself.
        """
        return self.run_within(None, lambda: function(*args, **more))

    def run_within(self, seconds: float | None, function: Callable[[], Result]) -> Result:
        """The same, but in a request's greenlet it waits only so long, None for ever.

        Raises:
            TimeoutError: the time is over; a function that has not begun by then never does.
        """
        if not isinstance(getcurrent(), _Request):
            return function()
        done = Signal()
        context = contextvars.copy_context()
        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome[:] = context.run(function), None
            except BaseException as error:
                outcome[:] = None, error
            done.give()

        begun = self._pool.submit(work)
        if not done.wait(seconds):
            begun.cancel()
            raise TimeoutError
        result, error = outcome
        # An error's traceback leads here: a cycle would keep all of the request in memory.
        outcome.clear()
        try:
            if error is not None:
                raise error
            return result  # type: ignore[no-any-return]
        finally:
            del error
