"""Every failure becomes problem details; none shows what is inside."""

from __future__ import annotations

import logging

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from server.answers import problem_response
from server.problems import (
    BAD_BODY,
    BODY_TOO_LARGE,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAVAILABLE,
    UNKNOWN_MODEL,
    Problem,
)

_log = logging.getLogger(__name__)
_HTTP_KINDS = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}


def add(app: Flask) -> None:
    @app.errorhandler(Problem)
    def answer(problem: Problem) -> Response:
        g.log["problem"] = problem.kind.name
        if problem.client:
            g.log["client"] = problem.client
        if problem.kind is UNKNOWN_MODEL:
            g.log.pop("model", None)  # a caller may write anything there
        return problem_response(problem)

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> Response:
        limit = app.config["MAX_CONTENT_LENGTH"]
        return answer(Problem(BODY_TOO_LARGE, f"at most {limit:,} bytes are allowed"))

    @app.errorhandler(HTTPException)
    def by_status(error: HTTPException) -> Response:
        kind = _HTTP_KINDS.get(error.code or 500, BAD_BODY)
        response = answer(Problem(kind, error.description or kind.title))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(MemoryError)
    def no_memory(_error: MemoryError) -> Response:
        return answer(Problem(UNAVAILABLE, "the gateway is short of memory"))

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        _log.error("request %s failed", g.request_id, exc_info=error)
        return answer(Problem(INTERNAL_ERROR, "an unexpected error; the gateway's log has more"))
