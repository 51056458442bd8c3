"""What every inference route does: choose the version, ask it, count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
from flask import Flask, Response, g, request

from server import explain as explanations
from server import light, metrics, timing
from server.catalog import Choice, Found
from server.classify import Classified, Row
from server.decoding import Source
from server.explain import Explained
from server.problems import Problem
from server.services import Services

#: The header by which a caller keeps its requests on one track of a canary.
CANARY_KEY = "X-Canary-Key"
_MOST_KEY = 256
# Of bodies, what takes long to read.
_FORMS = ("multipart/form-data", "application/json")

Args = ParamSpec("Args")
Read = TypeVar("Read")
Answered = TypeVar("Answered", Classified, Explained)


def reading(
    services: Services, read: Callable[Args, Read], *args: Args.args, **more: Args.kwargs
) -> Read:
    """Returns what `read` makes of the body of the request in hand.

    Raises:
        Problem: as it says.
    """

    def staged() -> Read:
        with timing.stage("read"):
            return read(*args, **more)

    most = light.FORM_BYTES if request.mimetype in _FORMS else light.FILE_BYTES
    is_light = (request.content_length or 0) <= most
    return services.heavy.run_unless(is_light, g.deadline, staged)


def encoding(
    services: Services,
    rows: Sequence[Row | Problem],
    encode: Callable[Args, Response],
    *args: Args.args,
    **more: Args.kwargs,
) -> Response:
    """Returns the response that `encode` makes of the rows of an answer."""

    def staged() -> Response:
        with timing.stage("encode"):
            return encode(*args, **more)

    numbers = sum(len(row) for row in rows if not isinstance(row, Problem))
    return services.heavy.run_unless(numbers <= light.NUMBERS, g.deadline, staged)


def choice(name: str, number: int | None = None, label: str | None = None) -> Choice:
    """Returns what the request in hand means by its path."""
    key = request.headers.get(CANARY_KEY, "")[:_MOST_KEY] or g.request_id
    return Choice(name, number, label, key)


def classify(
    services: Services, images: Sequence[Source], wanted: Choice, *, all_or_nothing: bool = False
) -> Classified:
    """Classifies the images of the request in hand, and counts them and what became of them.

    Raises:
        Problem: of the whole request; an image's own problem is in its result.
    """

    def ask(found: Found) -> Classified:
        return services.classifier.classify(
            images, wanted, found, g.deadline, all_or_nothing=all_or_nothing
        )

    classified = _answered(services, images, wanted, ask)
    _count(classified)
    services.observer.saw(images, classified, g.request_id, g.deadline)
    return classified


def explain(services: Services, images: Sequence[Source], wanted: Choice) -> Explained:
    """Explains the images of the request in hand, and counts them in the same way.

    Raises:
        Problem: of the whole request; an image's own problem is in its result.
    """

    def ask(found: Found) -> Explained:
        return explanations.explain(
            services.catalog, services.backend, services.decoder, images, wanted, found, g.deadline
        )

    explained = _answered(services, images, wanted, ask)
    sound = sum(not isinstance(result, Problem) for result in explained.results)
    if sound:
        metrics.image_outcome("explained", sound)
    return explained


def _answered(
    services: Services,
    images: Sequence[Source],
    wanted: Choice,
    ask: Callable[[Found], Answered],
) -> Answered:
    """Finds the version that is meant, asks it, and counts what is alike for all answers."""
    for image in images:
        if isinstance(image, bytes):
            metrics.image_received(len(image))
    g.log |= {"model": wanted.model, "images": len(images)}
    try:
        found = services.catalog.find(wanted, g.deadline)
        if found.track is not None:
            g.log["track"] = found.track  # now: a canary that fails is what is to be seen
        answered = ask(found)
    except Problem as problem:
        metrics.image_outcome(problem.kind.name, len(images))
        raise
    g.found = answered.found
    g.log["version"] = answered.found.version.number
    if answered.found.track is not None:
        g.log["track"] = answered.found.track
    for file in answered.files:
        if file is not None:
            metrics.image_decoded(
                file.format, file.mode, file.width * file.height, rotated=file.rotated
            )
    for result in answered.results:
        if isinstance(result, Problem):
            metrics.image_outcome(result.kind.name)
    return answered


def add(app: Flask) -> None:
    """Adds to answers the headers that say which version answered, on which track."""

    @app.after_request
    def show(response: Response) -> Response:
        if "found" in g:
            response.headers["X-Model-Version"] = str(g.found.version.number)
            if g.found.track is not None:
                response.headers["X-Model-Track"] = g.found.track
        return response


def _count(classified: Classified) -> None:
    rows = [row for row in classified.results if not isinstance(row, Problem)]
    if rows:
        metrics.image_outcome("classified", len(rows))
        version = classified.version
        labels = version.names(len(rows[0]))
        probabilities = rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
        metrics.answered(version.model, version.number, labels, probabilities)
