"""Callers of a model server, in a process of their own: one image a call, as fast as it answers."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import grpc
import numpy as np

from contract.wire import serving_pb2 as pb
from contract.wire.channel import open_channel
from contract.wire.stubs import model_server_stubs
from server.tuning.errors import CallError

#: Before the calls count: so long, as a share of the measurement, the queues fill.
_LEAD = 0.25
_CALL_SECONDS = 60.0
#: A slow model is measured for longer, until so many calls of each caller are answered.
_CALLS_OF_EACH = 2


@dataclass(frozen=True)
class Job:
    """Calls to make.

    Attributes:
        address: of the model server.
        requests: serialized PredictRequests, made in turn.
        callers: each waits for its answer and calls again.
        seconds: in which calls count; more, if too few are answered in them.
    """

    address: str
    requests: Sequence[bytes]
    callers: int
    seconds: float


@dataclass(frozen=True)
class Load:
    """What the callers saw.

    Attributes:
        rate: calls answered per second.
        median_ms, p99_ms: milliseconds that a call took.
    """

    rate: float
    median_ms: float
    p99_ms: float


class Callers:
    """The process of the callers, as this one sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, job: Job) -> Load:
        """Makes the calls.

        Raises:
            CallError: one failed.
        """
        self._connection.send(job)
        try:
            answer: Load | str = self._connection.recv()
        except EOFError:
            raise CallError("the process of the callers ended") from None
        if isinstance(answer, str):
            raise CallError(answer)
        return answer


@contextmanager
def callers() -> Iterator[Callers]:
    """Starts the process, which ends with the block."""
    # Spawned: gRPC does not survive a fork.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield Callers(here)
    finally:
        here.close()
        process.terminate()
        process.join()


def _serve(connection: Connection) -> None:
    """Makes calls until the other process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(_run(connection.recv()))


def _run(job: Job) -> Load | str:
    window = _Window(job)
    requests = [pb.PredictRequest.FromString(request) for request in job.requests]
    with (
        open_channel(job.address, None) as channel,
        ThreadPoolExecutor(job.callers) as pool,
    ):
        predict = model_server_stubs(channel).predict

        def call(number: int) -> None:
            while not window.over.is_set():
                number += 1
                began = time.perf_counter()
                try:
                    predict(requests[number % len(requests)], timeout=_CALL_SECONDS)
                except grpc.RpcError:
                    window.over.set()
                    raise
                window.count(began)

        try:
            for _ in pool.map(call, range(job.callers)):
                pass
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return window.load()


class _Window:
    """The calls that count: those answered after the lead, until there are enough of them."""

    def __init__(self, job: Job) -> None:
        self.over = threading.Event()
        self._job = job
        self._begins = time.perf_counter() + _LEAD * job.seconds
        self._took: list[float] = []
        self._ended = self._begins
        self._lock = threading.Lock()

    def count(self, began: float) -> None:
        """Counts a call that was answered now."""
        with self._lock:
            now = time.perf_counter()
            if now < self._begins or self.over.is_set():
                return
            self._took.append(now - began)
            self._ended = now
            enough = len(self._took) >= _CALLS_OF_EACH * self._job.callers
            if enough and now >= self._begins + self._job.seconds:
                self.over.set()

    def load(self) -> Load:
        median, p99 = np.quantile(self._took, (0.5, 0.99)) * 1000
        return Load(len(self._took) / (self._ended - self._begins), float(median), float(p99))
