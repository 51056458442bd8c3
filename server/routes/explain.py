"""`:explain`: what in a picture spoke for its label, as numbers or as a picture."""

from __future__ import annotations

import base64
from typing import Any

from flask import Flask, Response, g, request

from contract.errors import ImageError
from server import bodies, inference, parameters, timing
from server.answers import json_response
from server.decoding import problem_of
from server.explain import Explained, Explanation
from server.heatmap import overlay
from server.paths import on_models
from server.problems import Problem
from server.services import Services

_OVERLAY = "overlay"
_PNG = "image/png"


def add(app: Flask, services: Services) -> None:
    @on_models(app, "explain")
    def explain(name: str, number: int | None = None, label: str | None = None) -> Response:
        most = services.settings.max_images
        asked = inference.reading(services, bodies.read, request, most, (_OVERLAY,))
        with_overlay = parameters.flag(asked.parameters, _OVERLAY)
        wanted = inference.choice(name, number, label)
        explained = inference.explain(services, asked.images, wanted)
        if len(explained.results) == 1 and isinstance(explained.results[0], Problem):
            raise explained.results[0]
        # To draw takes tens of milliseconds.
        return services.heavy.run(
            g.deadline,
            _response,
            asked.images,
            explained,
            with_overlay=with_overlay,
            most=services.settings.max_image_pixels,
        )


def _response(
    images: list[bytes | Problem], explained: Explained, *, with_overlay: bool, most: int
) -> Response:
    as_png = request.accept_mimetypes.best_match(["application/json", _PNG]) == _PNG
    if as_png and len(images) == 1:
        (image,), (result,) = images, explained.results
        with timing.stage("encode"):
            response = Response(_drawn(image, result, most), content_type=_PNG)
    else:
        with timing.stage("encode"):
            document = _document(images, explained, with_overlay=with_overlay, most=most)
            response = json_response(document)
    response.vary.add("Accept")
    return response


def _document(
    images: list[bytes | Problem], explained: Explained, *, with_overlay: bool, most: int
) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    for image, result in zip(images, explained.results, strict=True):
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
    version = explained.found.version
    document = {"model": version.model, "version": str(version.number)}
    if explained.found.track is not None:
        document["track"] = explained.found.track
    return {**document, "request_id": g.request_id, "results": results}


def _drawn(image: bytes | Problem, result: Explanation | Problem, most: int) -> bytes:
    assert isinstance(image, bytes), "what could not be read has no explanation"
    assert isinstance(result, Explanation)
    try:
        return overlay(image, result.heatmap, most)
    except ImageError as error:  # decoded at a smaller size, it may fail where it did not before
        raise problem_of(error) from error
