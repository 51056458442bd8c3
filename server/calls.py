"""One call of the model server: its deadline, its repeats, the breaker, its figures."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from server import metrics, tracing
from server.breaker import Breaker
from server.deadline import Deadline
from server.greenlets import Threads
from server.problems import (
    BAD_MODEL_ANSWER,
    NOT_A_CLASSIFIER,
    TIMEOUT,
    UNAVAILABLE,
    BatchTooLargeError,
    Problem,
    UnknownLabelError,
    VersionGoneError,
)

_MOST_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.05

# A call that had this share of the gateway's own deadline and was not answered says something about
# the model server; one that had less, about its caller's patience.
_PATIENCE = 0.5
# As how many failures it counts: it has cost seconds, and the many requests that waited for it.
_WEIGHT_OF_A_HANG = 3

# TensorFlow Serving's texts, where its status alone doesn't tell.
_UNKNOWN_LABEL = "Unrecognized servable version label"
_TOO_LARGE = re.compile(r"larger than maximum input batch size ([0-9]{1,9})")


class Calls:
    """Calls the model server; safe for threads.

    What could not be delivered (UNAVAILABLE) is tried again, on another replica where there are
    several, within the deadline.

    Args:
        timeout_seconds: the gateway's own deadline of a request.
        threads: wait for the answers.
    """

    def __init__(self, timeout_seconds: float, threads: Threads) -> None:
        self._threads = threads
        self._patience = _PATIENCE * timeout_seconds
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()
        # Its own: whoever seeds the module's, to have a run again, is not to be disturbed.
        self._chance = random.Random()  # noqa: S311 - pauses, no secrets

    def __call__(
        self,
        method: Callable[..., Any],
        request: Any,
        model: str,
        deadline: Deadline,
        *,
        watched: bool = True,
    ) -> Any:
        """Calls a method and returns its answer.

        Args:
            watched: by the model's breaker; only for what runs the model, since a server whose
                runs hang goes on to answer all else.

        Raises:
            VersionGoneError: NOT_FOUND.
            UnknownLabelError, BatchTooLargeError: INVALID_ARGUMENT with TensorFlow Serving's text.
            Problem: everything else that isn't an answer.
        """
        breaker = self._breaker(model) if watched else None
        return self._threads.run(self._answer, method, request, model, deadline, breaker)

    def _answer(
        self,
        method: Callable[..., Any],
        request: Any,
        model: str,
        deadline: Deadline,
        breaker: Breaker | None,
    ) -> Any:
        for tries in itertools.count(1):
            seconds, since = deadline.left(), time.perf_counter()
            if breaker:  # the last before the call: who passes has to say how it went
                breaker.check(seconds)
            try:
                answer = method(request, timeout=seconds, metadata=tracing.metadata())
            except grpc.RpcError as error:
                _count(request, error.code(), since)
                if breaker:
                    self._note(breaker, error, seconds)
                pause = _FIRST_PAUSE_SECONDS * 2 ** (tries - 1) * self._chance.uniform(0.5, 1.0)
                if not _worth_a_try(error, tries) or pause >= deadline.left():
                    raise _translated(error, model) from error
                metrics.backend_retried(model, "unavailable")
                time.sleep(pause)
            else:
                _count(request, grpc.StatusCode.OK, since)
                if breaker:
                    breaker.succeeded()
                return answer
        raise AssertionError("not reached")

    def _breaker(self, model: str) -> Breaker:
        with self._lock:
            if model not in self._breakers:
                self._breakers[model] = Breaker(model)
            return self._breakers[model]

    def _note(self, breaker: Breaker, error: grpc.RpcError, seconds: float) -> None:
        code = error.code()
        if code is grpc.StatusCode.UNAVAILABLE and not _is_busy(error):
            breaker.failed()
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            if seconds >= self._patience:
                breaker.failed(_WEIGHT_OF_A_HANG)
        else:
            breaker.succeeded()


def _count(request: Any, code: grpc.StatusCode, since: float) -> None:
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    metrics.backend_called(spec.name, number, code.name, time.perf_counter() - since)


def _worth_a_try(error: grpc.RpcError, tries: int) -> bool:
    return error.code() is grpc.StatusCode.UNAVAILABLE and tries < _MOST_TRIES


def _is_busy(error: grpc.RpcError) -> bool:
    """Whether a full batching queue refused the call: the model server is well, and has work."""
    return "batch scheduling queue" in (error.details() or "")


def _translated(error: grpc.RpcError, model: str) -> Exception:
    code = error.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return VersionGoneError(model)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Problem(TIMEOUT, f"model {model} did not answer in time")
    if code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ):
        return Problem(UNAVAILABLE, f"the model server of {model} can't be reached or is busy")
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return Problem(
            NOT_A_CLASSIFIER, f"model {model} has not the signatures of an image classifier"
        )
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        details = error.details() or ""
        if _UNKNOWN_LABEL in details:
            return UnknownLabelError(model)
        most = _TOO_LARGE.search(details)
        if most and int(most[1]) > 0:
            return BatchTooLargeError(int(most[1]))
    return Problem(BAD_MODEL_ANSWER, f"the model server refused a call of {model}: {code.name}")
