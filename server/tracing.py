"""The trace that a request belongs to: taken over from the caller, passed on to the model server.

Without more, the gateway only hands the trace's id on, with a span id of its own. With the extra
`otel` and OTEL_EXPORTER_OTLP_ENDPOINT set it records spans, and exports them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Protocol

from contract.errors import SettingsError
from server import trace_context
from server.trace_context import TraceContext

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Recorder(Protocol):
    """What records spans; `server.spans` has the one of OpenTelemetry."""

    def begin(self, caller: TraceContext | None, name: str, method: str, route: str) -> None:
        """Begins a request's span and makes it this thread's."""

    def end(self, code: int, request_id: str) -> None:
        """Ends it with the HTTP status of the answer."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """Records a block as a part of this thread's span."""

    def current(self) -> TraceContext:
        """Returns this thread's innermost span."""

    def close(self) -> None:
        """Exports what is left."""


_recorder: Recorder | None = None
_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def wanted(environment: Mapping[str, str]) -> bool:
    """Tells whether spans are to be recorded.

    Raises:
        SettingsError: they are, but the extra is not installed.
    """
    named = next((name for name in _ENDPOINTS if environment.get(name)), None)
    if named is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        raise SettingsError(f"{named} is set, but not installed is: pip install 'lince[otel]'")
    return True


def begin() -> None:
    """Begins to record if it is wanted; to be called in the process that serves."""
    if wanted(os.environ):
        from server.spans import exporting

        record_with(exporting())


def record_with(recorder: Recorder | None) -> None:
    """Has spans recorded, or not any more."""
    global _recorder  # as with OpenTelemetry's own: a process has one
    _recorder = recorder


def end() -> None:
    """Exports what is left to be, and stops to record."""
    if _recorder is not None:
        _recorder.close()
        record_with(None)


def begin_request(
    traceparent: str | None, tracestate: str | None, method: str, route: str
) -> TraceContext:
    """Begins the span of a request in this thread, until `end_request`; returns it.

    Args:
        traceparent: the caller's header; a wrong one counts as none.
        tracestate: the same.
        method: from a closed set.
        route: the route's pattern.
    """
    caller = trace_context.received(traceparent, tracestate)
    if _recorder is not None:
        _recorder.begin(caller, f"{method} {route}", method, route)
        mine = _recorder.current()
    else:
        mine = caller.child() if caller else trace_context.new()
    _current.set(mine)
    return mine


def end_request(code: int, request_id: str) -> None:
    """Ends the span of this thread's request."""
    if _recorder is not None and _current.get() is not None:
        _recorder.end(code, request_id)
    _current.set(None)


def span(name: str) -> AbstractContextManager[object]:
    """Records a block as a part of the request: `decode`, `predict`."""
    if _recorder is None or _current.get() is None:
        return nullcontext()
    return _recorder.span(name)


def metadata() -> tuple[tuple[str, str], ...]:
    """Returns the gRPC metadata that tells the model server of this thread's span."""
    mine = _current.get()
    if mine is None:
        return ()
    return (_recorder.current() if _recorder is not None else mine).headers()
