"""Requests that come at the same time share a call of the model server, and none can tell.

While as many calls are under way as may be, what arrives waits, and the next call takes all of it.
So an idle gateway adds no wait, and a busy one fills its calls by itself.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.deadline import Deadline, passed
from server.greenlets import Signal, Threads, give_all
from server.problems import (
    TIMEOUT,
    UNAVAILABLE,
    BatchTooLargeError,
    Problem,
    VersionGoneError,
)

#: Calls the model server with rows [N, …] before a deadline; gives rows [N, …] in the same order.
Call = Callable[[NDArray[Any], Deadline], NDArray[Any]]

# What befell the call and none of those in it.
_SHARED_KINDS = (TIMEOUT, UNAVAILABLE)


@dataclass(eq=False)
class _Job:
    """A request's rows, and what became of them when `done` is given: an answer, or an error.

    Attributes:
        context: of the request, with its trace.
        alone: whether the rows are to be tried again, without others'.
    """

    rows: NDArray[Any]
    deadline: Deadline
    done: Signal = field(default_factory=Signal)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    alone: bool = False
    answer: NDArray[Any] | None = None
    error: BaseException | None = None


class Coalescer:
    """Shares calls of one signature of one version of a model; safe for threads.

    Args:
        call: makes a call.
        most_rows: that a shared call has at most; a request that has more by itself goes alone. A
            model server that takes fewer says so, and is believed.
        calls_at_once: calls that may be under way together.
        threads: make the calls.
    """

    def __init__(self, call: Call, most_rows: int, calls_at_once: int, threads: Threads) -> None:
        self._call = call
        self._most_rows = most_rows
        self._calls_at_once = calls_at_once
        self._threads = threads
        self._calling = 0
        self._waiting: deque[_Job] = deque()
        self._lock = threading.Lock()

    def run(self, rows: NDArray[Any], deadline: Deadline) -> NDArray[Any]:
        """Returns what the model answers for rows [N, …]: N rows, in the same order.

        Raises:
            VersionGoneError, Problem: as the call; of what is wrong with others' rows, or late for
                them, nothing is heard.
        """
        job = _Job(rows, deadline)
        with self._lock:
            self._waiting.append(job)
            calls = self._calling < self._calls_at_once
            self._calling += calls
        if calls:
            self._start(job)
        if not job.done.wait(max(0.0, deadline.at - time.monotonic())):
            with self._lock:
                if job in self._waiting:
                    self._waiting.remove(job)
            # Else its rows are in a call already, whose answer nobody will want.
            raise passed()
        if job.alone:
            return self._threads.run(self._call, rows, deadline)
        error, job.error = job.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback leads here: a cycle would keep the rows in memory
        assert job.answer is not None, "what is done has an answer or an error"
        return job.answer

    def _start(self, job: _Job) -> None:
        try:
            self._threads.start(self._call_for_all)
        except RuntimeError:  # no thread can be started
            with self._lock:
                self._calling -= 1
                if job in self._waiting:
                    self._waiting.remove(job)
            raise

    def _call_for_all(self) -> None:
        """Makes calls, for as long as somebody waits for one."""
        while batch := self._next_batch():
            # The trace that the model server hears of is the first one's.
            batch[0].context.run(self._answer, batch)

    def _next_batch(self) -> list[_Job]:
        """Takes what waits, as far as there is room; nothing ends the calls."""
        with self._lock:
            batch: list[_Job] = []
            count = 0
            while self._waiting and (
                not batch or count + len(self._waiting[0].rows) <= self._most_rows
            ):
                job = self._waiting.popleft()
                count += len(job.rows)
                batch.append(job)
            if not batch:
                self._calling -= 1
            return batch

    def _answer(self, batch: list[_Job]) -> None:
        # Who is more impatient leaves by itself, and the others get their answers.
        deadline = max(job.deadline for job in batch)
        try:
            rows = [job.rows for job in batch]
            answers = self._call(rows[0] if len(rows) == 1 else np.concatenate(rows), deadline)
        except BaseException as error:  # whatever it is, those who wait are to be told
            if isinstance(error, BatchTooLargeError):
                self._most_rows = max(1, min(self._most_rows, error.most))
            for job in batch:
                job.alone = len(batch) > 1 and not _is_shared(error)
                job.error = error
        else:
            start = 0
            for job in batch:
                job.answer = answers[start : start + len(job.rows)]
                start += len(job.rows)
        give_all(job.done for job in batch)


def _is_shared(error: BaseException) -> bool:
    if isinstance(error, Problem):
        return error.kind in _SHARED_KINDS
    return isinstance(error, VersionGoneError)
