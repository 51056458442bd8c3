"""Answers that were given before: probabilities by pixels, model and version."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server import metrics
from server.served import ServedVersion

Key = tuple[str, int, bytes, bytes]


class AnswerCache:
    """The probabilities of the images that were asked for last; safe for threads.

    Args:
        most: how many images are kept; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[Key, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def keeps(self) -> bool:
        """Whether anything is ever found in it."""
        return self._most > 0

    def get(self, key: Key) -> NDArray[np.float32] | None:
        """Returns the probabilities [K] for a key, if they are known."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
        metrics.cache_looked_up(hit=row is not None)
        return row

    def put(self, key: Key, row: NDArray[np.float32]) -> None:
        """Keeps the probabilities for a key; what was not asked for the longest is dropped."""
        own = row.copy()  # a view would keep the whole answer's memory
        with self._lock:
            self._rows[key] = own
            self._rows.move_to_end(key)
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)


def key_of(version: ServedVersion, pixels: NDArray[Any]) -> Key:
    """Returns the key of an image's pixels and the version that they are for."""
    digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
    digest.update(repr(pixels.shape).encode())
    return (version.model, version.number, version.identity, digest.digest())
