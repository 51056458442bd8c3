"""`/openapi.json`: what the gateway says of its own API."""

from __future__ import annotations

from functools import cache

import msgspec
from flask import Flask, Response

from server.openapi.document import make_document
from server.routes.page import StaticFile
from server.services import Services


def add(app: Flask, services: Services) -> None:
    @cache  # not at the start: most gateways are never asked for it
    def document() -> StaticFile:
        content = msgspec.json.encode(make_document(services.settings.models))
        return StaticFile.of(content, "application/json")

    @app.get("/openapi.json")
    def openapi() -> Response:
        return document().response()
