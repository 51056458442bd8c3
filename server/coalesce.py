"""Requests that come at the same time share a call of the model server, and none can tell.

While as many calls are under way as may be, what arrives waits, and the next call takes all of it.
So an idle gateway adds no wait, and a busy one fills its calls by itself. The call is made by one
of the threads that wait for it; there is no thread besides.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server import turns
from server.deadline import Deadline, passed
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
    """A request's rows. Whoever wakes it has left an answer, an error, or a batch to call for."""

    rows: NDArray[Any]
    deadline: Deadline
    # Whoever may wake it puts something in; cheaper than an Event, which is made of Python.
    woken: SimpleQueue[None] = field(default_factory=SimpleQueue)
    batch: list[_Job] | None = None
    alone: bool = False
    gone: bool = False
    answer: NDArray[Any] | None = None
    error: BaseException | None = None


class Coalescer:
    """Shares calls of one signature of one version of a model; safe for threads.

    Args:
        call: makes a call.
        most_rows: that a shared call has at most; a request that has more by itself goes alone. A
            model server that takes fewer says so, and is believed.
        calls_at_once: calls that may be under way together.
    """

    def __init__(self, call: Call, most_rows: int, calls_at_once: int) -> None:
        self._call = call
        self._most_rows = most_rows
        self._calls_at_once = calls_at_once
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
            if self._calling < self._calls_at_once:  # then nobody waits
                self._calling += 1
                job.batch = [job]
            else:
                self._waiting.append(job)
        if job.batch is None:
            self._wait(job)
        if job.batch is not None:
            self._lead(job.batch, deadline)
        if job.alone:
            return self._call(rows, deadline)
        if job.error is not None:
            raise job.error
        if job.answer is None:
            raise AssertionError("who is woken has an answer, an error or a batch")
        return job.answer

    def _wait(self, job: _Job) -> None:
        try:
            with turns.away():
                job.woken.get(timeout=max(0.0, job.deadline.at - time.monotonic()))
            return
        except Empty:
            pass
        with self._lock:
            job.gone = True
            if job in self._waiting:
                self._waiting.remove(job)
            elif job.batch is not None:
                self._pass_on([other for other in job.batch if not other.gone])
            # Else its rows are in a call already, whose answer nobody will want.
        raise passed()

    def _lead(self, batch: list[_Job], deadline: Deadline) -> None:
        try:
            self._answer(batch, deadline)
        finally:
            with self._lock:
                self._pass_on([])

    def _fill(self, batch: list[_Job]) -> None:
        """Takes along what waits, as far as there is room."""
        count = sum(len(job.rows) for job in batch)
        while self._waiting and (
            not batch or count + len(self._waiting[0].rows) <= self._most_rows
        ):
            job = self._waiting.popleft()
            count += len(job.rows)
            batch.append(job)

    def _pass_on(self, batch: list[_Job]) -> None:
        """Gives the right to call on, for a batch and whatever waits."""
        self._fill(batch)
        if batch:
            # Who calls can't leave before the call ends, so it is who would wait the longest.
            leader = max(batch, key=lambda job: job.deadline)
            leader.batch = batch
            leader.woken.put(None)
        else:
            self._calling -= 1

    def _answer(self, batch: list[_Job], deadline: Deadline) -> None:
        try:
            rows = [job.rows for job in batch]
            answers = self._call(rows[0] if len(rows) == 1 else np.concatenate(rows), deadline)
        except BaseException as error:  # whatever ends this thread, the others are to be woken
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
        for job in batch:
            job.woken.put(None)


def _is_shared(error: BaseException) -> bool:
    if isinstance(error, Problem):
        return error.kind in _SHARED_KINDS
    return isinstance(error, VersionGoneError)
