"""Is the process alive, is it ready, and what has it counted?"""

from __future__ import annotations

from flask import Flask, Response, g

from server import metrics
from server.answers import json_response
from server.problems import UNAVAILABLE, Problem
from server.services import Services


def add(app: Flask, services: Services) -> None:
    catalog = services.catalog

    @app.get("/livez")
    def livez() -> Response:
        return json_response({"status": "live"})

    @app.get("/readyz")
    def readyz() -> Response:
        if not catalog.names:
            raise Problem(UNAVAILABLE, "no model is configured: set LINCE_MODELS")
        for name in catalog.names:
            try:
                catalog.refresh(name, g.deadline)
            except Problem as problem:
                raise Problem(UNAVAILABLE, f"model {name}: {problem.detail}") from problem
        return json_response({"status": "ready"})

    @app.get("/metrics")
    def show_metrics() -> Response:
        text, content_type = metrics.exposition_text()
        return Response(text, content_type=content_type)
