"""The gateway as a Flask application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from contract.settings import Settings
from server import bookkeeping, error_handlers, inference, timing
from server.bodies import InMemory
from server.paths import DEFAULT_MODEL, ModelName
from server.routes import classify, explain, health, infer, models, openapi, page, predict
from server.security import hooks as security
from server.security.guard import Guard
from server.services import make_services

_ROUTES = (health, models, classify, predict, explain, infer, openapi, page)


class Gateway(Flask):
    """Flask without a look at every function, at every request, whether it is asynchronous."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function: none of ours is asynchronous."""
        return func


def create_app(
    settings: Settings,
    stopping: Callable[[], bool] = lambda: False,
    guard: Guard | None = None,
) -> Flask:
    """Makes the gateway. Call it in the process that serves: it opens a gRPC channel."""
    services = make_services(settings, stopping, guard)
    app = Gateway("lince", static_folder=None)
    app.request_class = InMemory
    # Else a path with two slashes is redirected, to whatever host the caller named.
    app.url_map.merge_slashes = False
    app.url_map.converters["model"] = ModelName
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    only = settings.models[0] if len(settings.models) == 1 else None
    app.config[DEFAULT_MODEL] = settings.default_model or only
    bookkeeping.add(app, settings)
    timing.add(app)
    inference.add(app)
    error_handlers.add(app)
    security.add(app, services)
    for routes in _ROUTES:
        routes.add(app, services)
    services.catalog.start(settings.refresh_seconds)
    return app
