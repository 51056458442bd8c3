"""What every inference route does: choose the version, classify, count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flask import Flask, Response, g, request

from server import metrics
from server.catalog import Choice
from server.classify import Classified
from server.decoding import Source
from server.problems import Problem
from server.services import Services

#: The header by which a caller keeps its requests on one track of a canary.
CANARY_KEY = "X-Canary-Key"
_MOST_KEY = 256


def choice(name: str, number: int | None = None, label: str | None = None) -> Choice:
    """Returns what the request in hand means by its path."""
    key = request.headers.get(CANARY_KEY, "")[:_MOST_KEY] or g.request_id
    return Choice(name, number, label, key)


def run(
    services: Services, images: Sequence[Source], wanted: Choice, *, all_or_nothing: bool = False
) -> Classified:
    """Classifies the images of the request in hand, and counts them and what became of them.

    Raises:
        Problem: of the whole request; an image's own problem is in its result.
    """
    for image in images:
        if isinstance(image, bytes):
            metrics.image_received(len(image))
    g.log |= {"model": wanted.model, "images": len(images)}
    try:
        found = services.catalog.find(wanted, g.deadline)
        if found.track is not None:
            g.log["track"] = found.track  # now: a canary that fails is what is to be seen
        classified = services.classifier.classify(
            images, wanted, found, g.deadline, all_or_nothing=all_or_nothing
        )
    except Problem as problem:
        metrics.image_outcome(problem.kind.name, len(images))
        raise
    g.log["version"] = classified.version.number
    if classified.found.track is not None:
        g.log["track"] = classified.found.track
    g.classified = classified
    _count(classified)
    services.observer.saw(images, classified, g.request_id)
    return classified


def add(app: Flask) -> None:
    """Adds to answers the headers that say which version answered, on which track."""

    @app.after_request
    def show(response: Response) -> Response:
        if "classified" in g:
            response.headers["X-Model-Version"] = str(g.classified.version.number)
            if g.classified.found.track is not None:
                response.headers["X-Model-Track"] = g.classified.found.track
        return response


def _count(classified: Classified) -> None:
    for file in classified.files:
        if file is not None:
            metrics.image_decoded(
                file.format, file.mode, file.width * file.height, rotated=file.rotated
            )
    rows = []
    for result in classified.results:
        if isinstance(result, Problem):
            metrics.image_outcome(result.kind.name)
        else:
            rows.append(result)
    if rows:
        metrics.image_outcome("classified", len(rows))
        version = classified.version
        labels = version.names(len(rows[0]))
        probabilities = rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
        metrics.answered(version.model, version.number, labels, probabilities)
