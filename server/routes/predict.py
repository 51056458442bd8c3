"""`:predict`: TensorFlow Serving's REST form and KServe's V1 protocol."""

from __future__ import annotations

from flask import Flask, Response, g, request

from server import bodies, inference, v1_predict
from server.answers import json_response
from server.paths import on_models
from server.services import Services
from server.v1_predict import Instances


def add(app: Flask, services: Services) -> None:
    settings = services.settings

    @on_models(app, "predict")
    def predict(name: str, number: int | None = None, label: str | None = None) -> Response:
        wanted = inference.choice(name, number, label)
        spec = services.catalog.find(wanted, g.deadline).version.pixels

        def read() -> Instances:
            # As JSON whatever the Content-Type says, as TensorFlow Serving takes it.
            body = bodies.content(request)
            return v1_predict.read(body, spec, settings.max_images, settings.max_image_pixels)

        instances = inference.reading(services, read)
        classified = inference.classify(services, instances.images, wanted, all_or_nothing=True)

        def encode() -> Response:
            return json_response(v1_predict.answer(instances, classified.results))

        return inference.encoding(services, classified.results, encode)
