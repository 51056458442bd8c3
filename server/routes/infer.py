"""The Open Inference Protocol (V2), as KServe's and Triton's clients speak it over HTTP."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from flask import Flask, Response, g, request

from contract.wire import serving_pb2 as pb
from server import bodies, inference, readiness, v2_answer, v2_request
from server.answers import json_response
from server.catalog import Choice
from server.paths import NUMBER
from server.problems import UNAVAILABLE, Problem, VersionGoneError
from server.services import Services
from server.v2_request import Inference


def add(app: Flask, services: Services) -> None:
    _add_server(app, services)
    _add_models(app, services)
    limits = (services.settings.max_images, services.settings.max_image_pixels)

    def infer(name: str, number: int | None = None) -> Response:
        wanted = inference.choice(name, number)
        ports = services.catalog.find(wanted, g.deadline).version.classifier

        def read() -> Inference:
            length, body = request.headers.get(v2_request.LENGTH_HEADER), bodies.content(request)
            return v2_request.read(body, length, ports.input, ports.pixels, limits)

        asked = inference.reading(services, read)
        classified = inference.classify(services, asked.images, wanted, all_or_nothing=True)
        return inference.encoding(
            services, classified.results, v2_answer.inferred, classified, asked
        )

    for path in _paths("/infer"):
        app.add_url_rule(path, "v2_infer", infer, methods=["POST"])


def _paths(end: str) -> tuple[str, str]:
    return f"/v2/models/<model:name>{end}", f"/v2/models/<model:name>/versions/{NUMBER}{end}"


def _add_server(app: Flask, services: Services) -> None:
    @app.get("/v2")
    def v2_server() -> Response:
        extensions = ["binary_tensor_data"]
        return json_response({"name": "lince", "version": _own(), "extensions": extensions})

    @app.get("/v2/health/live")
    def v2_live() -> Response:
        return json_response({"live": True})

    @app.get("/v2/health/ready")
    def v2_ready() -> Response:
        readiness.check(services, g.deadline)
        return json_response({"ready": True})


def _add_models(app: Flask, services: Services) -> None:
    def model(name: str, number: int | None = None) -> Response:
        served = services.catalog.find(Choice(name, number), g.deadline).version
        return json_response(v2_answer.metadata(served, _available(services, name)))

    def ready(name: str, number: int | None = None) -> Response:
        served = services.catalog.find(Choice(name, number), g.deadline).version
        if served.number not in _available(services, name):
            raise Problem(UNAVAILABLE, f"model {name}: version {served.number} is not available")
        return json_response({"name": name, "ready": True})

    for path in _paths(""):
        app.add_url_rule(path, "v2_model", model)
    for path in _paths("/ready"):
        app.add_url_rule(path, "v2_model_ready", ready)


def _available(services: Services, name: str) -> list[int]:
    try:
        status = services.backend.status(name, g.deadline)
    except VersionGoneError as error:
        raise Problem(UNAVAILABLE, f"model {name} has no version available") from error
    return [each.version for each in status if each.state == pb.ModelVersionStatus.AVAILABLE]


def _own() -> str:
    try:
        return version("lince")
    except PackageNotFoundError:  # run from a copy of the source
        return "unknown"
