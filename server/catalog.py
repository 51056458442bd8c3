"""Which models there are, which version is the newest, and what each version wants to see.

A call always names the version that its pixels were made for. The newest version is asked for in
the background, and at once when a call finds its version gone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from contract import manifest as manifests
from contract.errors import ManifestError
from contract.manifest import Manifest
from contract.pixels import PixelSpec
from server import metrics
from server.backend import Backend
from server.deadline import Deadline
from server.problems import (
    BAD_MODEL_ANSWER,
    NOT_A_CLASSIFIER,
    UNAVAILABLE,
    UNKNOWN_MODEL,
    UNKNOWN_VERSION,
    Problem,
    VersionGoneError,
)

_log = logging.getLogger(__name__)
# Versions are a few; the bound keeps a gateway that lives for years from collecting them.
_MOST_VERSIONS = 16
#: Calls for a version that the caller names: one of several replicas may not have it.
MOST_MISSES = 4
# Of one call in the background: a model server that hangs is asked again.
_REFRESH_SECONDS = 5.0


@dataclass(frozen=True)
class ServedVersion:
    """A version of a model that answered, and its manifest."""

    model: str
    number: int
    manifest: Manifest

    @property
    def pixels(self) -> PixelSpec:
        """What the version wants to see.

        Raises:
            Problem: it is no image classifier.
        """
        if self.manifest.task != "classification" or self.manifest.input is None:
            raise Problem(NOT_A_CLASSIFIER, f"model {self.model} is for {self.manifest.task}")
        return self.manifest.input


@dataclass
class _Known:
    newest: ServedVersion | None = None
    # The manifest as it was said, so that it is parsed once.
    versions: dict[int, tuple[bytes, ServedVersion]] = field(default_factory=dict)


class Catalog:
    """The configured models and what is known of their versions; safe for threads."""

    def __init__(self, names: Sequence[str], backend: Backend) -> None:
        self.names = tuple(names)
        self._backend = backend
        self._known = {name: _Known() for name in names}

    def newest(self, model: str, deadline: Deadline) -> ServedVersion:
        """Returns the newest version as far as it is known; asks only if none is.

        Raises:
            Problem: the model is not configured, or has no version that is available.
        """
        self._check(model)
        return self._known[model].newest or self.refresh(model, deadline)

    def version(self, model: str, number: int, deadline: Deadline) -> ServedVersion:
        """Returns a version by its number.

        Raises:
            Problem: the model is not configured, or has no such version.
        """
        self._check(model)
        known = self._known[model].versions.get(number)
        if known:
            return known[1]
        for _ in range(MOST_MISSES):
            with contextlib.suppress(VersionGoneError):
                return self._remember(model, *self._backend.describe(model, number, deadline))
        raise unknown_version(model, number)

    def refresh(self, model: str, deadline: Deadline) -> ServedVersion:
        """Asks the model server which version is the newest.

        Raises:
            Problem: the model server is away, or has no version that is available.
        """
        known = self._known[model]
        try:
            known.newest = self._remember(model, *self._backend.describe(model, None, deadline))
        except VersionGoneError as error:
            known.newest = None
            metrics.MODEL_VERSION.labels(model).set(0)
            raise Problem(UNAVAILABLE, f"model {model} has no version available") from error
        metrics.MODEL_VERSION.labels(model).set(known.newest.number)
        return known.newest

    def start(self, every_seconds: float) -> None:
        """Refreshes all models in a background thread, for as long as the process lives."""
        threading.Thread(
            target=self._refresh_all, args=(every_seconds,), name="catalog", daemon=True
        ).start()

    def _refresh_all(self, every_seconds: float) -> None:
        failing: set[str] = set()
        while True:
            for model in self.names:
                before = self._known[model].newest
                try:
                    now = self.refresh(model, Deadline.after(_REFRESH_SECONDS))
                except Problem as problem:
                    if model not in failing:
                        _log.warning("model %s: %s", model, problem.detail)
                    failing.add(model)
                    continue
                except Exception:
                    _log.exception("model %s: asking for its version failed", model)
                    continue
                if before is None or before.number != now.number or model in failing:
                    failing.discard(model)
                    _log.info("model %s: version %d is the newest", model, now.number)
            time.sleep(every_seconds)

    def _check(self, model: str) -> None:
        if model not in self._known:
            raise Problem(UNKNOWN_MODEL, f"no model {model!r} is served here")

    def _remember(self, model: str, number: int, text: bytes) -> ServedVersion:
        versions = self._known[model].versions
        known = versions.get(number)
        if known and known[0] == text:
            return known[1]
        try:
            served = ServedVersion(model, number, manifests.parse(text))
        except ManifestError as error:
            raise Problem(BAD_MODEL_ANSWER, f"model {model}, version {number}: {error}") from error
        versions[number] = (text, served)
        if len(versions) > _MOST_VERSIONS:
            versions.pop(min(versions), None)
        return served


def unknown_version(model: str, number: int) -> Problem:
    return Problem(UNKNOWN_VERSION, f"model {model} has no version {number}")
