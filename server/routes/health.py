"""Is the process alive, is it ready, and what has it counted?"""

from __future__ import annotations

from flask import Flask, Response, g

from server import exposition, readiness
from server.answers import json_response
from server.services import Services


def add(app: Flask, services: Services) -> None:
    @app.get("/livez")
    def livez() -> Response:
        return json_response({"status": "live"})

    @app.get("/readyz")
    def readyz() -> Response:
        readiness.check(services, g.deadline)
        return json_response({"status": "ready"})

    if not services.settings.metrics_port:

        @app.get("/metrics")
        def show_metrics() -> Response:
            text, content_type = exposition.text()
            return Response(text, content_type=content_type)
