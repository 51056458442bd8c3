"""What is done for every request: its deadline and id, its figures, its line in the log."""

from __future__ import annotations

import logging
import re
import time
import uuid

import msgspec
from flask import Flask, Response, g, request

from contract.settings import Settings
from server import metrics
from server.deadline import Deadline

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ROUTE_DETAIL = re.compile(r"<[^<>:]*(\([^)]*\))?:")


def add(app: Flask, settings: Settings) -> None:
    @app.before_request
    def begin() -> None:
        g.since = time.perf_counter()
        g.deadline = Deadline.after(settings.timeout_seconds)
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        g.log = {}
        metrics.IN_PROGRESS.inc()
        g.counted = True

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        seconds = time.perf_counter() - g.since
        route = _route()
        metrics.REQUESTS.labels(route, _method(), response.status_code).inc()
        metrics.DURATION.labels(route).observe(seconds)
        line = {
            "time": round(time.time(), 3),
            "request_id": g.request_id,
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 1),
            **g.log,
        }
        _log.info("%s", msgspec.json.encode(line).decode())
        return response

    @app.teardown_request
    def release(_error: BaseException | None) -> None:
        if g.pop("counted", False):
            metrics.IN_PROGRESS.dec()


def _route() -> str:
    """The route's pattern, from a closed set: callers choose what the path itself says."""
    return _ROUTE_DETAIL.sub("<", request.url_rule.rule) if request.url_rule else "unknown"


def _method() -> str:
    return request.method if request.method in ("GET", "POST", "HEAD", "OPTIONS") else "other"
