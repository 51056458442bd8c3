"""`:classify`: pictures in, labels and probabilities out."""

from __future__ import annotations

from flask import Flask, Response, g, request

from server import bodies, metrics
from server.answers import classification, json_response
from server.classify import Classified
from server.paths import on_models
from server.problems import Problem
from server.services import Services


def add(app: Flask, services: Services) -> None:
    @on_models(app, "classify")
    def classify(name: str, number: int | None = None) -> Response:
        with metrics.stage("read"):
            asked = bodies.read(request, services.settings.max_images)
        g.log |= {"model": name, "images": len(asked.images)}
        try:
            classified = services.classifier.classify(asked.images, name, number, g.deadline)
        except Problem as problem:
            metrics.IMAGES.labels(problem.kind.name).inc(len(asked.images))
            raise
        g.log["version"] = classified.version.number
        _count(classified)
        if len(classified.results) == 1 and isinstance(classified.results[0], Problem):
            raise classified.results[0]
        return json_response(classification(classified, asked.top_k))


def _count(classified: Classified) -> None:
    version = classified.version
    for result in classified.results:
        if isinstance(result, Problem):
            metrics.IMAGES.labels(result.kind.name).inc()
        else:
            metrics.IMAGES.labels("classified").inc()
            first = version.manifest.labels[int(result.argmax())]
            metrics.PREDICTIONS.labels(version.model, first).inc()
