"""Predictions of any number of images, in calls that the model server takes.

Many images are split into several calls; the few images of several requests share one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.backend import Backend
from server.coalesce import Call, Coalescer
from server.deadline import Deadline
from server.greenlets import Threads
from server.problems import BAD_MODEL_ANSWER, BatchTooLargeError, Problem
from server.served import ServedVersion

# Of versions whose requests share calls; those that nobody asked for longest are forgotten.
_MOST_SHARED = 32

_Key = tuple[str, int, bytes, tuple[int, ...]]


class Batches:
    """Makes calls of images; what a model server says of its limit is kept. Safe for threads.

    Args:
        backend: the model server.
        most: images in one call.
        calls_at_once: of a version; while so many are under way, what arrives waits and shares the
            next one.
        threads: make the calls.
    """

    def __init__(self, backend: Backend, most: int, calls_at_once: int, threads: Threads) -> None:
        self._backend = backend
        self._most = most
        self._calls_at_once = calls_at_once
        self._threads = threads
        self._learned: dict[str, int] = {}  # images in one call, by model
        self._shared: OrderedDict[_Key, Coalescer] = OrderedDict()
        self._lock = threading.Lock()

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
            most = min(self._most, self._learned.get(version.model, self._most))
            batch = _first_batch(images[len(rows) :], most)
            try:
                rows.extend(self._call(version, batch, deadline))
            except BatchTooLargeError as error:
                if error.most >= len(batch):
                    raise Problem(
                        BAD_MODEL_ANSWER, f"model {version.model} refused a batch that it takes"
                    ) from error
                self._learned[version.model] = error.most
        return rows

    def _call(
        self, version: ServedVersion, batch: Sequence[NDArray[np.uint8]], deadline: Deadline
    ) -> NDArray[np.float32]:
        ports = version.classifier
        pixels: NDArray[Any] = batch[0][np.newaxis] if len(batch) == 1 else np.stack(batch)
        rows = self._shared_calls(version, pixels.shape[1:]).run(
            pixels.astype(ports.dtype, copy=False), deadline
        )
        classes = rows.shape[1]
        expected = len(version.labels) if version.labels else max(classes, 2)
        if classes != expected or not np.isfinite(rows).all():
            raise Problem(
                BAD_MODEL_ANSWER, f"model {version.model} answered no {expected} probabilities"
            )
        return rows

    def _shared_calls(self, version: ServedVersion, shape: tuple[int, ...]) -> Coalescer:
        """Whom a version's requests share calls with: those whose images have the same shape."""
        key = (version.model, version.number, version.identity, shape)
        with self._lock:
            found = self._shared.get(key)
            if found is None:
                call = self._call_for(version)
                found = Coalescer(call, self._most, self._calls_at_once, self._threads)
                self._shared[key] = found
            self._shared.move_to_end(key)
            if len(self._shared) > _MOST_SHARED:
                self._shared.popitem(last=False)
        return found

    def _call_for(self, version: ServedVersion) -> Call:
        def call(pixels: NDArray[Any], deadline: Deadline) -> NDArray[np.float32]:
            model, number, ports = version.model, version.number, version.classifier
            return self._backend.predict(model, number, ports, pixels, deadline)

        return call


def _first_batch(images: Sequence[NDArray[np.uint8]], most: int) -> Sequence[NDArray[np.uint8]]:
    """Returns the images at the beginning that are of one size, `most` at most."""
    for end, image in enumerate(images[:most]):
        if image.shape != images[0].shape:
            return images[:end]
    return images[:most]
