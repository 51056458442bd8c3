"""`:classify`: pictures in, labels and probabilities out."""

from __future__ import annotations

from flask import Flask, Response, g, request

from server import bodies, inference, parameters
from server.answers import classification, json_response
from server.paths import on_models
from server.problems import Problem
from server.services import Services


def add(app: Flask, services: Services) -> None:
    @on_models(app, "classify")
    def classify(name: str, number: int | None = None, label: str | None = None) -> Response:
        most = services.settings.max_images
        asked = inference.reading(services, bodies.read, request, most, parameters.NAMES)
        options = parameters.options(asked.parameters)
        wanted = inference.choice(name, number, label)
        classified = inference.classify(services, asked.images, wanted)
        if len(classified.results) == 1 and isinstance(classified.results[0], Problem):
            raise classified.results[0]

        def encode() -> Response:
            return json_response(classification(classified, options, g.request_id))

        return inference.encoding(services, classified.results, encode)
