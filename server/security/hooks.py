"""The gateway's security in its Flask application."""

from __future__ import annotations

from flask import Flask, Response, g, request

from server.security.guard import CALLER
from server.services import Services


def add(app: Flask, services: Services) -> None:
    """Checks every request, and gives every answer its headers.

    `g.caller` is who calls; their name, where there are keys, is in the log line.
    """
    guard, headers = services.guard, services.answer_headers

    @app.before_request
    def check() -> Response | None:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method == "OPTIONS" and (
            pairs := headers.cors.preflight_headers(request.headers.get("Origin"), asked)
        ):
            return Response(status=204, headers=pairs)
        caller = request.environ.get(CALLER)
        if caller is None:  # no front has checked it
            caller = guard.check(request.headers, request.path, request.method)
        g.caller = caller
        if caller.name:
            g.log["client"] = caller.name
        return None

    @app.after_request
    def protect(response: Response) -> Response:
        pairs = headers.of(
            request.method, response.content_type or "", request.headers.get("Origin")
        )
        response.headers.extend(pairs)  # no route sets any of them
        response.headers.setdefault("cache-control", "no-store")
        return response
