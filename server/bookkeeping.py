"""What is done for every request: its deadline, id and trace, its figures, its line in the log."""

from __future__ import annotations

import re
import time
from functools import cache

from flask import Flask, Response, g, request

from contract.settings import Settings
from server import exposition, logs, metrics, timing, tracing
from server.arrival import KEY
from server.deadline import HEADER, Deadline, asked_seconds
from server.ids import hexadecimal
from server.problems import Problem

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ROUTE_DETAIL = re.compile(r"<[^<>:]*(\([^)]*\))?:")


def add(app: Flask, settings: Settings) -> None:
    exposition.forget_dead_workers()
    metrics.begin()
    tracing.begin()

    @app.before_request
    def begin() -> None:
        g.log = {}
        g.since = time.perf_counter()
        g.request_id = request_id(request.headers.get("X-Request-Id"))
        g.trace = tracing.begin_request(
            request.headers.get("traceparent"),
            request.headers.get("tracestate"),
            metrics.known_method(request.method),
            _route(),
        )
        logs.begin_request(request_id=g.request_id, trace_id=g.trace.trace_id)
        metrics.request_began()
        g.counted = True
        arrival = request.environ.get(KEY)
        if arrival is None:  # the application is run without the front
            asked = asked_seconds(request.headers.get(HEADER))
            g.deadline = Deadline.after(min(asked, settings.timeout_seconds))
            timing.begin_request(g.since)
        else:
            waited = g.since - arrival.queued
            g.since, g.deadline = arrival.head, arrival.deadline
            timing.begin_request(arrival.head)
            timing.took("queue", waited)

    @app.after_request
    def end(response: Response) -> Response:
        g.code = response.status_code
        response.headers["X-Request-Id"] = g.request_id
        response.headers["traceresponse"] = g.trace.traceparent
        _record(_route(), request.method, g.code, g.since, g.log, settings.access_log)
        return response

    @app.teardown_request
    def release(_error: BaseException | None) -> None:
        if g.pop("counted", False):
            metrics.request_left()
            tracing.end_request(g.get("code", 500), g.request_id)
            logs.end_request()
            timing.end_request()


def request_id(given: str | None) -> str:
    """Returns the caller's id of a request, or a new one if there is none that can be shown."""
    return given if given and _REQUEST_ID.fullmatch(given) else hexadecimal(32)


def refused(
    method: str, request_id: str, since: float, problem: Problem, share: float = 1.0
) -> None:
    """Counts and logs a request that never reached the application.

    Args:
        since: when it came, on the clock `time.perf_counter`.
        share: of such requests that get a line in the log.
    """
    members: dict[str, object] = {"request_id": request_id, "problem": problem.kind.name}
    if problem.client:
        members["client"] = problem.client
    _record("refused", method, problem.kind.status, since, members, share)


def _record(
    route: str, method: str, code: int, since: float, members: dict[str, object], share: float
) -> None:
    seconds = time.perf_counter() - since
    metrics.request_answered(route, method, code, seconds)
    if "problem" in members:
        metrics.rejected(str(members["problem"]))
    if "track" in members:
        metrics.tracked(str(members.get("model")), str(members["track"]), code, seconds)
    fields = {
        "method": metrics.known_method(method),
        "route": route,
        "status": code,
        "milliseconds": round(seconds * 1000, 1),
    }
    logs.access(fields | members, code, share)


def _route() -> str:
    """The route's pattern, from a closed set: callers choose what the path itself says."""
    return _pattern(request.url_rule.rule) if request.url_rule else "unknown"


@cache
def _pattern(rule: str) -> str:
    return _ROUTE_DETAIL.sub("<", rule)
