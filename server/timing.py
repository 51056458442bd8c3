"""How long a request was in each of its stages: for the metrics, and for its caller to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response

from server import metrics, tracing

#: The stages that a caller is shown, in this order; `total` is added.
SHOWN = ("read", "queue", "decode", "predict")

#: Ends a lap: adds its time to the stage that is named.
Lap = Callable[[str], None]


@dataclass
class Timing:
    """The stages of one request.

    Attributes:
        since: when its head was read, on the clock `time.perf_counter`.
        seconds: name of a stage → time in it so far.
    """

    since: float
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, seconds: float) -> None:
        """Adds time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def header(self) -> str:
        """Returns the value of a Server-Timing header (W3C), milliseconds."""
        shown = [(name, self.seconds[name]) for name in SHOWN if name in self.seconds]
        shown.append(("total", time.perf_counter() - self.since))
        return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in shown)


_of_request: ContextVar[Timing | None] = ContextVar("timing", default=None)


def begin_request(since: float) -> None:
    """Begins to keep the stages of the request in hand, until `end_request`."""
    _of_request.set(Timing(since))


def end_request() -> None:
    _of_request.set(None)


def took(stage: str, seconds: float) -> None:
    """Counts time that the request in hand has spent in a stage."""
    metrics.took(stage, seconds)
    _show(stage, seconds)


def _show(stage: str, seconds: float) -> None:
    timing = _of_request.get()
    if timing is not None:
        timing.add(stage, seconds)


class stage:  # noqa: N801 - it stands behind `with`, like a function
    """Counts the time of a block as a stage, in the metrics and in the request's timing."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._span = tracing.span(name)

    def __enter__(self) -> None:
        self._since = time.perf_counter()
        self._span.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._span.__exit__(*error)
        seconds = time.perf_counter() - self._since
        took(self._name, seconds)


@contextmanager
def decoding() -> Iterator[Lap]:
    """Counts the time of a block as the stages decode and resize, which take turns in it.

    What it gives adds the time since it was called last to one of them. A caller is shown their
    sum, as `decode`.
    """
    seconds = {"decode": 0.0, "resize": 0.0}
    begun = last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[name] += now - last
        last = now

    try:
        with tracing.span("decode"):
            yield lap
    finally:
        for name, taken in seconds.items():
            metrics.took(name, taken)
        _show("decode", last - begun)


def add(app: Flask) -> None:
    """Adds the Server-Timing header to answers of requests that had stages."""

    @app.after_request
    def show(response: Response) -> Response:
        timing = _of_request.get()
        if timing is not None and timing.seconds:
            response.headers["Server-Timing"] = timing.header()
        return response
