"""Work of several threads whose results come out in the order of the work, all of it bounded."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Generic, TypeVar

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")
# Results that wait for an earlier one, for each that may be in work.
_AHEAD = 4


class Pipeline(Generic[_Work, _Result]):
    """Works with at most `most` threads, and at any moment with as many as the limit says.

    The threads are daemons: a program that is to end does not wait for a server's answer.

    Args:
        work: what a thread does; what it raises comes out in the place of its result.
        most: bound of the limit.
        limit: how many may be in work now.
    """

    def __init__(
        self, work: Callable[[_Work], _Result], most: int, limit: Callable[[], int]
    ) -> None:
        self._work = work
        self._most = most
        self._limit = limit
        self._threads = 0
        self._jobs: queue.SimpleQueue[tuple[_Work, Future[_Result]] | None] = queue.SimpleQueue()

    def results(self, todo: Iterable[_Work]) -> Iterator[_Result]:
        """Gives the results in the order of the work, which is taken as there is room for it."""
        pending: deque[Future[_Result]] = deque()
        source, ended = iter(todo), False
        try:
            while pending or not ended:
                running = [future for future in pending if not future.done()]
                if not ended and self._has_room(len(running), len(pending)):
                    try:
                        pending.append(self._start(next(source)))
                    except StopIteration:
                        ended = True
                elif pending[0].done():
                    yield pending.popleft().result()
                else:
                    wait(running, return_when=FIRST_COMPLETED)
        finally:
            for _ in range(self._threads):
                self._jobs.put(None)
            self._threads = 0

    def _has_room(self, running: int, pending: int) -> bool:
        return running < min(self._limit(), self._most) and pending < _AHEAD * self._most

    def _start(self, work: _Work) -> Future[_Result]:
        future: Future[_Result] = Future()
        self._jobs.put((work, future))
        if self._threads < min(self._limit(), self._most):
            self._threads += 1
            threading.Thread(target=self._serve, name="scoring", daemon=True).start()
        return future

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future = job
            try:
                future.set_result(self._work(work))
            except BaseException as error:
                future.set_exception(error)
            del job, work, future  # else its bytes stay until the next
