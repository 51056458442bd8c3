"""From the bytes of images to labels and probabilities."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import BrokenImageError, ImageError, ImageTooLargeError, NotAnImageError
from contract.pixels import PixelSpec, decode
from server import metrics
from server.backend import Backend
from server.catalog import MOST_MISSES, Catalog, ServedVersion, unknown_version
from server.deadline import Deadline
from server.problems import (
    BAD_MODEL_ANSWER,
    BROKEN_IMAGE,
    IMAGE_TOO_LARGE,
    NOT_AN_IMAGE,
    Problem,
    VersionGoneError,
)

_KINDS = {
    NotAnImageError: NOT_AN_IMAGE,
    BrokenImageError: BROKEN_IMAGE,
    ImageTooLargeError: IMAGE_TOO_LARGE,
}
_PAUSE_SECONDS = 0.005


@dataclass(frozen=True)
class Classified:
    """The version that answered, and for each image its probabilities [K] or its problem."""

    version: ServedVersion
    results: list[NDArray[np.float32] | Problem]


@dataclass(frozen=True)
class Classifier:
    """Makes pixels, calls the model server, and keeps both on the same version."""

    backend: Backend
    catalog: Catalog
    max_pixels: int

    def classify(
        self, images: Sequence[bytes], model: str, number: int | None, deadline: Deadline
    ) -> Classified:
        """Classifies images by the newest version of a model, or by one version.

        Pixels, probabilities and labels all belong to the version in the answer: if it is gone
        when the call arrives, the pixels are made again for the one that took its place.

        Args:
            images: files, undecoded.
            number: None is the newest.

        Raises:
            Problem: of the whole request; an image's own problem is in its result.
        """
        if number is None:
            version = self.catalog.newest(model, deadline)
        else:
            version = self.catalog.version(model, number, deadline)
        made: dict[str, _Decoded] = {}
        for missed in itertools.count(1):
            wanted = version.pixels.fingerprint
            if wanted not in made:
                made[wanted] = _decode_all(images, version.pixels, self.max_pixels, deadline)
            try:
                return Classified(version, self._results(made[wanted], version, deadline))
            except VersionGoneError as error:
                if number is not None and missed == MOST_MISSES:
                    raise unknown_version(model, number) from error
            # Replicas may disagree on what is newest, and calls go to each in turn: a version
            # just heard of gets two calls before another is asked for.
            if missed % 2 and number is None:
                version = self.catalog.refresh(model, deadline)
            else:
                time.sleep(min(_PAUSE_SECONDS, deadline.left()))
        raise AssertionError("not reached")

    def _results(
        self, decoded: _Decoded, version: ServedVersion, deadline: Deadline
    ) -> list[NDArray[np.float32] | Problem]:
        if not decoded.pixels:
            return list(decoded.problems.values())
        with metrics.stage("predict"):
            probabilities = self.backend.predict(
                version.model, version.number, np.stack(decoded.pixels), deadline
            )
        if (
            probabilities.shape[1] != version.manifest.classes
            or not np.isfinite(probabilities).all()
        ):
            raise Problem(
                BAD_MODEL_ANSWER,
                f"model {version.model} answered no {version.manifest.classes} probabilities",
            )
        rows = iter(probabilities)
        return [decoded.problems.get(place) or next(rows) for place in range(decoded.count)]


@dataclass(frozen=True)
class _Decoded:
    count: int
    pixels: list[NDArray[np.uint8]]
    problems: dict[int, Problem]


def _decode_all(
    images: Sequence[bytes], spec: PixelSpec, max_pixels: int, deadline: Deadline
) -> _Decoded:
    decoded = _Decoded(len(images), [], {})
    with metrics.stage("decode"):
        for place, image in enumerate(images):
            deadline.left()
            try:
                decoded.pixels.append(decode(image, spec, max_pixels=max_pixels))
            except ImageError as error:
                decoded.problems[place] = Problem(_KINDS[type(error)], str(error))
    return decoded
