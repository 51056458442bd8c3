"""The gateway as a Flask application."""

from __future__ import annotations

import logging
import re
import time
import uuid

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from contract.settings import Settings
from server import bodies, metrics
from server.answers import classification, json_response, model_card, problem_response
from server.backend import Backend
from server.catalog import Catalog, ServedVersion
from server.classify import Classifier
from server.deadline import Deadline
from server.problems import (
    BAD_BODY,
    BODY_TOO_LARGE,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAVAILABLE,
    UNKNOWN_MODEL,
    Problem,
    VersionGoneError,
)

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ROUTE_DETAIL = re.compile(r"<[^<>:]*(\([^)]*\))?:")
_MOST = 2**63 - 1  # of a version number: it is an int64 on the wire
_HTTP_KINDS = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}


class _ModelName(BaseConverter):
    """A model's name in a path: what comes after a colon is the verb."""

    regex = "[^/:]+"


def create_app(settings: Settings) -> Flask:
    """Makes the gateway. Call it in the process that serves: it opens a gRPC channel."""
    backend = Backend(settings.model_server)
    catalog = Catalog(settings.models, backend)
    classifier = Classifier(backend, catalog, settings.max_image_pixels)
    app = Flask("lince", static_folder=None)
    app.url_map.converters["model"] = _ModelName
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    _add_bookkeeping(app, settings)
    _add_health(app, catalog)
    _add_models(app, catalog, backend)
    _add_classify(app, classifier, settings)
    _add_error_handlers(app)
    catalog.start(settings.refresh_seconds)
    return app


def _add_bookkeeping(app: Flask, settings: Settings) -> None:
    """Gives each request a deadline and an id, counts it, and writes its log line."""

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
        route = _ROUTE_DETAIL.sub("<", request.url_rule.rule) if request.url_rule else "unknown"
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


def _method() -> str:
    return request.method if request.method in ("GET", "POST", "HEAD", "OPTIONS") else "other"


def _add_health(app: Flask, catalog: Catalog) -> None:
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


def _add_models(app: Flask, catalog: Catalog, backend: Backend) -> None:
    def newest(name: str) -> ServedVersion | None:
        try:
            return catalog.newest(name, g.deadline)
        except Problem as problem:
            if problem.kind is UNKNOWN_MODEL:
                raise
            return None

    @app.get("/v1/models")
    def models() -> Response:
        cards = [model_card(name, newest(name), []) for name in catalog.names]
        keys = ("name", "ready", "version")
        return json_response({"models": [{key: card[key] for key in keys} for card in cards]})

    @app.get("/v1/models/<model:name>")
    def model(name: str) -> Response:
        version = newest(name)
        try:
            status = backend.status(name, g.deadline)
        except (Problem, VersionGoneError):
            version, status = None, []
        return json_response(model_card(name, version, status))


def _add_classify(app: Flask, classifier: Classifier, settings: Settings) -> None:
    @app.post("/v1/models/<model:name>:classify")
    @app.post(f"/v1/models/<model:name>/versions/<int(max={_MOST}):number>:classify")
    def classify(name: str, number: int | None = None) -> Response:
        with metrics.stage("read"):
            asked = bodies.read(request, settings.max_images)
        g.log |= {"model": name, "images": len(asked.images)}
        try:
            classified = classifier.classify(asked.images, name, number, g.deadline)
        except Problem as problem:
            metrics.IMAGES.labels(problem.kind.name).inc(len(asked.images))
            raise
        g.log["version"] = classified.version.number
        for result in classified.results:
            if isinstance(result, Problem):
                metrics.IMAGES.labels(result.kind.name).inc()
            else:
                metrics.IMAGES.labels("classified").inc()
                first = classified.version.manifest.labels[int(result.argmax())]
                metrics.PREDICTIONS.labels(name, first).inc()
        if len(classified.results) == 1 and isinstance(classified.results[0], Problem):
            raise classified.results[0]
        return json_response(classification(classified, asked.top_k))


def _add_error_handlers(app: Flask) -> None:
    @app.errorhandler(Problem)
    def answer(problem: Problem) -> Response:
        g.log["problem"] = problem.kind.name
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
