"""The prediction log: a sample of what was asked and answered, one line of JSON for each image.

Several workers append to one file. A line is written whole or not at all; a file that was moved
away (logrotate) is made anew; a disk that is full never fails a request.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from server import metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One image and its answer.

    Attributes:
        request_id: of the request that it came with.
        model: that answered.
        version: of the model.
        image: the file's bytes.
        format: Pillow's name of the image's format.
        width: pixels of the file, as it is stored.
        height: the same.
        label: of the most probable class.
        probability: of it.
        top_k: (label, probability) of the most probable ones, the largest first.
    """

    request_id: str
    model: str
    version: int
    image: bytes
    format: str | None
    width: int
    height: int
    label: str
    probability: float
    top_k: Sequence[tuple[str, float]]


@dataclass
class PredictionLog:
    """Appends to a file; safe for threads and for processes that share it.

    Attributes:
        path: the file; it and its folder are made.
        share: of the requests that are logged, 0 to 1.
        images: folder in which the images are kept too, each named by its digest; None: nowhere.
        chance: gives a number from 0 to less than 1.
        clock: seconds since 1970.
    """

    path: Path
    share: float
    images: Path | None = None
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time
    _file: int | None = None
    _failing: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chosen(self) -> bool:
        """Tells whether a request is in the sample; to be asked once for each request."""
        return self.chance() < self.share

    def write(self, predictions: Sequence[Prediction]) -> None:
        """Appends lines. What can't be written is counted, and complained of once."""
        for prediction in predictions:
            digest = hashlib.sha256(prediction.image).hexdigest()
            line = msgspec.json.encode(_record(prediction, digest, self.clock())) + b"\n"
            try:
                with self._lock:
                    self._append(line)
                if self.images is not None:
                    _keep(self.images, digest, prediction.image)
            except OSError as error:
                self._failed(error)
            else:
                self._failing = False
                metrics.prediction_logged(written=True)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _append(self, line: bytes) -> None:
        file = self._opened()
        # Workers take turns, so that half a line can be taken back before another follows it.
        with _locked(file):
            before = os.fstat(file).st_size
            if before and os.pread(file, 1, before - 1) != b"\n":
                line = b"\n" + line  # what another program, or a crash, has left half done
            if os.write(file, line) != len(line):
                os.ftruncate(file, before)
                raise OSError(f"no room for a line of {len(line)} bytes")

    def _opened(self) -> int:
        """The file that has the path now."""
        if self._file is not None:
            if _same(self._file, self.path):
                return self._file
            os.close(self._file)
            self._file = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # For the owner alone: it tells what people sent.
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _failed(self, error: OSError) -> None:
        metrics.prediction_logged(written=False)
        if not self._failing:
            _log.error("LINCE_PREDICTION_LOG: can't write to %s: %s", self.path, error)
        self._failing = True


def _record(prediction: Prediction, digest: str, now: float) -> dict[str, Any]:
    return {
        "time": round(now, 3),
        "request_id": prediction.request_id,
        "model": prediction.model,
        "version": str(prediction.version),
        "sha256": digest,
        "bytes": len(prediction.image),
        "width": prediction.width,
        "height": prediction.height,
        "format": prediction.format,
        "label": prediction.label,
        "probability": prediction.probability,
        "top_k": [
            {"label": label, "probability": probability} for label, probability in prediction.top_k
        ],
    }


def _keep(folder: Path, digest: str, image: bytes) -> None:
    target = folder / digest[:2] / digest
    if target.exists():
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{digest}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.write_bytes(image)
        draft.chmod(0o600)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def _locked(file: int) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _same(file: int, path: Path) -> bool:
    try:
        now = path.stat()
    except OSError:
        return False
    mine = os.fstat(file)
    return (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino)
