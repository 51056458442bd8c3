"""Predictions of any number of images, in calls that the model server takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.backend import Backend
from server.deadline import Deadline
from server.problems import BAD_MODEL_ANSWER, BatchTooLargeError, Problem
from server.served import ServedVersion


@dataclass(frozen=True)
class Batches:
    """Splits images into calls; what a model server says of its limit is kept.

    Attributes:
        most: images in one call.
        learned: model → images in one call, of those that take fewer.
    """

    backend: Backend
    most: int
    learned: dict[str, int] = field(default_factory=dict)

    def predict(
        self, version: ServedVersion, images: Sequence[NDArray[np.uint8]], deadline: Deadline
    ) -> list[NDArray[np.float32]]:
        """Returns the probabilities [K] of each image, uint8 [H, W, C].

        Raises:
            VersionGoneError: the model server does not have this version.
            Problem: the model server is away or too slow, or its answer makes no sense.
        """
        rows: list[NDArray[np.float32]] = []
        while len(rows) < len(images):
            most = min(self.most, self.learned.get(version.model, self.most))
            batch = _first_batch(images[len(rows) :], most)
            try:
                rows.extend(self._call(version, batch, deadline))
            except BatchTooLargeError as error:
                if error.most >= len(batch):
                    raise Problem(
                        BAD_MODEL_ANSWER, f"model {version.model} refused a batch that it takes"
                    ) from error
                self.learned[version.model] = error.most
        return rows

    def _call(
        self, version: ServedVersion, batch: Sequence[NDArray[np.uint8]], deadline: Deadline
    ) -> NDArray[np.float32]:
        ports = version.classifier
        pixels: NDArray[Any] = batch[0][np.newaxis] if len(batch) == 1 else np.stack(batch)
        rows = self.backend.predict(
            version.model, version.number, ports, pixels.astype(ports.dtype, copy=False), deadline
        )
        classes = rows.shape[1]
        expected = len(version.labels) if version.labels else max(classes, 2)
        if classes != expected or not np.isfinite(rows).all():
            raise Problem(
                BAD_MODEL_ANSWER, f"model {version.model} answered no {expected} probabilities"
            )
        return rows


def _first_batch(images: Sequence[NDArray[np.uint8]], most: int) -> Sequence[NDArray[np.uint8]]:
    """Returns the images at the beginning that are of one size, `most` at most."""
    for end, image in enumerate(images[:most]):
        if image.shape != images[0].shape:
            return images[:end]
    return images[:most]
