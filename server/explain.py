"""What in an image spoke for its label: heat maps from the signature `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server import timing
from server.backend import Backend
from server.catalog import Catalog, Choice, Found
from server.deadline import Deadline
from server.decoding import Decoder, File, Picture, Source
from server.one_version import by_one_version
from server.problems import BAD_MODEL_ANSWER, NOT_A_CLASSIFIER, NOT_EXPLAINABLE, Problem
from server.served import ServedVersion


@dataclass(frozen=True)
class Explanation:
    """Why an image was classified as it was.

    Attributes:
        label: the most probable class.
        probability: of it.
        heatmap: float32 [h, w] from 0 to 1, of the whole upright image.
    """

    label: str
    probability: float
    heatmap: NDArray[np.float32]


@dataclass(frozen=True)
class Explained:
    """The version that answered, and for each image its explanation or its problem.

    Attributes:
        files: for each image what its file was; None for none that is sound.
    """

    found: Found
    results: list[Explanation | Problem]
    files: list[File | None]


def explain(
    catalog: Catalog,
    backend: Backend,
    decoder: Decoder,
    images: Sequence[Source],
    choice: Choice,
    found: Found,
    deadline: Deadline,
) -> Explained:
    """Explains images by the version that is meant.

    Args:
        found: what the catalog has for the choice.

    Raises:
        Problem: of the whole request; an image's own problem is in its result.
    """
    made: dict[str, list[Picture | Problem]] = {}

    def call(found: Found) -> Explained:
        version = found.version
        _check(version)
        spec = version.pixels
        if spec.fingerprint not in made:
            made[spec.fingerprint] = decoder.decode(images, spec, deadline)
        pictures = made[spec.fingerprint]
        with timing.stage("predict"):
            results = [
                each
                if isinstance(each, Problem)
                else _explanation(backend, version, each.pixels, deadline)
                for each in pictures
            ]
        files = [None if isinstance(each, Problem) else each.file for each in pictures]
        return Explained(found, results, files)

    return by_one_version(catalog, choice, found, deadline, call)


def _check(version: ServedVersion) -> None:
    version.classifier  # noqa: B018 - raises its own problem
    if version.manifest is None or version.manifest.explanation is None:
        raise _not_explainable(version)


def _not_explainable(version: ServedVersion) -> Problem:
    return Problem(
        NOT_EXPLAINABLE,
        f"model {version.model}, version {version.number} has no signature `explain`",
    )


def _explanation(
    backend: Backend, version: ServedVersion, pixels: NDArray[np.uint8], deadline: Deadline
) -> Explanation:
    # One image a call: the gradients of a batch would take the model server's memory for it.
    try:
        heatmaps, probabilities = backend.explain(
            version.model, version.number, pixels[np.newaxis], deadline
        )
    except Problem as problem:
        if problem.kind is NOT_A_CLASSIFIER:  # the signature is missing in spite of the manifest
            raise _not_explainable(version) from problem
        raise
    labels = version.names(probabilities.shape[1])
    sound = np.isfinite(heatmaps).all() and np.isfinite(probabilities).all()
    if len(labels) != probabilities.shape[1] or not sound:
        raise Problem(BAD_MODEL_ANSWER, f"model {version.model} answered no explanation")
    top = int(probabilities[0].argmax())
    return Explanation(labels[top], float(probabilities[0, top]), np.clip(heatmaps[0], 0.0, 1.0))
