"""`:explain`: what in a picture spoke for its label, as numbers or as a picture."""

from __future__ import annotations

import base64
from typing import Any

from flask import Flask, Response, g, request

from server import bodies, metrics, parameters, timing
from server.answers import json_response
from server.catalog import Choice
from server.explain import Explained, Explanation, explain
from server.heatmap import overlay
from server.inference import choice
from server.paths import on_models
from server.problems import Problem
from server.services import Services

_OVERLAY = "overlay"
_PNG = "image/png"


def add(app: Flask, services: Services) -> None:
    most = services.settings.max_image_pixels

    def explained(images: list[bytes | Problem], wanted: Choice) -> Explained:
        answer = explain(
            services.catalog, services.backend, images, wanted, g.deadline, max_pixels=most
        )
        g.log["version"] = answer.found.version.number
        return answer

    @on_models(app, "explain")
    def answer(name: str, number: int | None = None, label: str | None = None) -> Response:
        with timing.stage("read"):
            asked = bodies.read(request, services.settings.max_images, (_OVERLAY,))
            with_overlay = parameters.flag(asked.parameters, _OVERLAY)
        wanted = choice(name, number, label)
        g.log |= {"model": name, "images": len(asked.images)}
        try:
            found = explained(asked.images, wanted)
        except Problem as problem:
            metrics.image_outcome(problem.kind.name, len(asked.images))
            raise
        _count(asked.images, found)
        if len(asked.images) == 1 and isinstance(found.results[0], Problem):
            raise found.results[0]
        return _response(asked.images, found, with_overlay=with_overlay, most=most)


def _response(
    images: list[bytes | Problem], found: Explained, *, with_overlay: bool, most: int
) -> Response:
    as_png = request.accept_mimetypes.best_match(["application/json", _PNG]) == _PNG
    if as_png and len(images) == 1:
        (image,), (result,) = images, found.results
        with timing.stage("encode"):
            response = Response(_drawn(image, result, most), content_type=_PNG)
    else:
        with timing.stage("encode"):
            response = json_response(_document(images, found, with_overlay=with_overlay, most=most))
    response.vary.add("Accept")
    response.headers["X-Model-Version"] = str(found.found.version.number)
    return response


def _document(
    images: list[bytes | Problem], found: Explained, *, with_overlay: bool, most: int
) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    for image, result in zip(images, found.results, strict=True):
        if isinstance(result, Problem):
            results.append({"problem": result.document()})
            continue
        g.deadline.left()
        entry: dict[str, Any] = {
            "label": result.label,
            "probability": result.probability,
            "heatmap": result.heatmap.tolist(),
        }
        if with_overlay:
            entry[_OVERLAY] = base64.b64encode(_drawn(image, result, most)).decode()
        results.append(entry)
    version = found.found.version
    document = {"model": version.model, "version": str(version.number)}
    if found.found.track is not None:
        document["track"] = found.found.track
    return {**document, "request_id": g.request_id, "results": results}


def _drawn(image: bytes | Problem, result: Explanation | Problem, most: int) -> bytes:
    assert isinstance(image, bytes), "what could not be read has no explanation"
    assert isinstance(result, Explanation)
    return overlay(image, result.heatmap, most)


def _count(images: list[bytes | Problem], found: Explained) -> None:
    for image, result in zip(images, found.results, strict=True):
        if isinstance(image, bytes):
            metrics.image_received(len(image))
        metrics.image_outcome(result.kind.name if isinstance(result, Problem) else "explained")
