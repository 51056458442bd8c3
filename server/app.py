"""The gateway as a Flask application."""

from __future__ import annotations

from flask import Flask

from contract.settings import Settings
from server import bookkeeping, error_handlers
from server.paths import ModelName
from server.routes import classify, health, models
from server.services import make_services

_ROUTES = (health, models, classify)


def create_app(settings: Settings) -> Flask:
    """Makes the gateway. Call it in the process that serves: it opens a gRPC channel."""
    services = make_services(settings)
    app = Flask("lince", static_folder=None)
    app.url_map.converters["model"] = ModelName
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    bookkeeping.add(app, settings)
    error_handlers.add(app)
    for routes in _ROUTES:
        routes.add(app, services)
    services.catalog.start(settings.refresh_seconds)
    return app
