"""Which models there are, which version is meant, and what each version wants to see.

A call always names the version that its pixels were made for. The newest version, what the labels
in use point to, and a canary's two tracks are asked for in the background, and at once when a call
finds its version gone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from contract.canary import LABEL, Canary
from contract.wire import serving_pb2 as pb
from server import metrics
from server.backend import Backend, Version
from server.deadline import Deadline
from server.problems import (
    NOT_A_CLASSIFIER,
    UNAVAILABLE,
    UNKNOWN_LABEL,
    UNKNOWN_MODEL,
    UNKNOWN_VERSION,
    Problem,
    UnknownLabelError,
    VersionGoneError,
)
from server.served import ServedVersion, described, identity, undescribed

_log = logging.getLogger(__name__)
# Versions are a few; the bound keeps a gateway that lives for years from collecting them.
_MOST_VERSIONS = 16
_MOST_LABELS = 16
#: Calls for a version that the caller names: one of several replicas may not have it.
MOST_MISSES = 4
# Of one call in the background: a model server that hangs is asked again.
_REFRESH_SECONDS = 5.0
#: The label of the version that a canary is compared with, where it is assigned.
STABLE = "stable"

Track = Literal["stable", "canary"]


@dataclass(frozen=True)
class Choice:
    """Which version of a model a caller means; without number and label, the one for everybody.

    Attributes:
        key: decides whether the request goes to a canary; the same key always goes to the same.
    """

    model: str
    number: int | None = None
    label: str | None = None
    key: str = ""


@dataclass(frozen=True)
class Found:
    """The version for a choice, and on which track of a canary it is, if the model has one."""

    version: ServedVersion
    track: Track | None = None


@dataclass(frozen=True)
class _Tracks:
    stable: ServedVersion
    canary: ServedVersion | None


@dataclass
class _Known:
    newest: ServedVersion | None = None
    versions: dict[int, ServedVersion] = field(default_factory=dict)
    labels: dict[str, ServedVersion] = field(default_factory=dict)
    tracks: _Tracks | None = None
    # Whether the artifact has a signature `describe`, as far as it was seen.
    describes: bool = True


class Catalog:
    """The configured models and what is known of their versions; safe for threads."""

    def __init__(
        self, names: Sequence[str], backend: Backend, canaries: Sequence[Canary] = ()
    ) -> None:
        self.names = tuple(names)
        self._backend = backend
        self._known = {name: _Known() for name in names}
        self._canaries = {canary.model: canary for canary in canaries}

    def find(self, choice: Choice, deadline: Deadline, *, fresh: bool = False) -> Found:
        """Returns the version that a caller means.

        Args:
            fresh: ask the model server, instead of taking what is known.

        Raises:
            Problem: there is no such model, version or label, or none that is available.
        """
        self._check(choice.model)
        if choice.number is not None:
            return Found(self.version(choice.model, choice.number, deadline))
        if choice.label is not None:
            return Found(self.labelled(choice.model, choice.label, deadline, fresh=fresh))
        canary = self._canaries.get(choice.model)
        if canary is None:
            look = self.refresh if fresh else self.newest
            return Found(look(choice.model, deadline))
        tracks = self._known[choice.model].tracks
        if tracks is None or fresh:
            tracks = self._refresh_tracks(canary, deadline)
        if tracks.canary is not None and canary.takes(choice.key):
            return Found(tracks.canary, "canary")
        return Found(tracks.stable, "stable")

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
            return known
        for _ in range(MOST_MISSES):
            with contextlib.suppress(VersionGoneError):
                return self._ask(model, number, deadline)
        raise unknown_version(model, number)

    def labelled(
        self, model: str, label: str, deadline: Deadline, *, fresh: bool = False
    ) -> ServedVersion:
        """Returns the version that a label points to; as far as it is known, unless `fresh`.

        Raises:
            Problem: the model is not configured, or no version that is available has the label.
        """
        self._check(model)
        if not fresh and (known := self._known[model].labels.get(label)):
            return known
        served = self._ask_label(model, label, deadline)
        if served is None:
            self.newest(model, deadline)  # a model that is away has no labels either
            raise Problem(UNKNOWN_LABEL, f"model {model} has no version with the label {label!r}")
        return served

    def refresh(self, model: str, deadline: Deadline) -> ServedVersion:
        """Asks the model server which version is the newest.

        Raises:
            Problem: the model server is away, or has no version that is available.
        """
        known = self._known[model]
        try:
            newest = self._ask(model, None, deadline)
        except VersionGoneError as error:
            known.newest = None
            metrics.model_gone(model)
            raise Problem(UNAVAILABLE, f"model {model} has no version available") from error
        known.newest = newest
        metrics.model_seen(model, newest.number, newest.identity.hex())
        return newest

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
                    self._refresh_labels(model)
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

    def _refresh_labels(self, model: str) -> None:
        for label in tuple(self._known[model].labels):
            self._ask_label(model, label, Deadline.after(_REFRESH_SECONDS))
        if model in self._canaries:
            self._refresh_tracks(self._canaries[model], Deadline.after(_REFRESH_SECONDS))

    def _refresh_tracks(self, canary: Canary, deadline: Deadline) -> _Tracks:
        model = canary.model
        candidate = self._ask_label(model, canary.label, deadline)
        stable = self._ask_label(model, STABLE, deadline) if canary.label != STABLE else None
        if stable is None:
            stable = self._beside(model, candidate, deadline)
        tracks = self._known[model].tracks = _Tracks(stable, candidate)
        return tracks

    def _beside(
        self, model: str, candidate: ServedVersion | None, deadline: Deadline
    ) -> ServedVersion:
        """The newest version that isn't the canary's; the canary's if there is no other."""
        newest = self.refresh(model, deadline)
        if candidate is None or newest.number != candidate.number:
            return newest
        with contextlib.suppress(VersionGoneError):
            others = [
                entry.version
                for entry in self._backend.status(model, deadline)
                if entry.state == pb.ModelVersionStatus.AVAILABLE and entry.version < newest.number
            ]
            if others:
                return self.version(model, max(others), deadline)
        return newest

    def _check(self, model: str) -> None:
        if model not in self._known:
            raise Problem(UNKNOWN_MODEL, f"no model {model!r} is served here")

    def _ask_label(self, model: str, label: str, deadline: Deadline) -> ServedVersion | None:
        """Asks what a label points to; None: to nothing that is available."""
        labels = self._known[model].labels
        if not LABEL.fullmatch(label):
            return None
        for _ in range(MOST_MISSES):
            try:
                served = self._ask(model, label, deadline)
            except UnknownLabelError:
                break
            except VersionGoneError:  # on this replica; the next call goes to another
                continue
            if label in labels or len(labels) < _MOST_LABELS:
                labels[label] = served
            return served
        labels.pop(label, None)
        return None

    def _ask(self, model: str, version: Version, deadline: Deadline) -> ServedVersion:
        """Asks a version what it is: by `describe`, or by its signatures if it has none."""
        known = self._known[model]
        describes = known.describes  # once: other threads find out, too
        if not describes:
            number, signatures = self._backend.signatures(model, version, deadline)
            if "describe" not in signatures.signature_def:
                return self._remember(undescribed(model, number, signatures))
        try:
            number, text = self._backend.describe(model, version, deadline)
        except Problem as problem:
            if problem.kind is not NOT_A_CLASSIFIER or not describes:
                raise
            known.describes = False
            return self._ask(model, version, deadline)
        known.describes = True
        seen = known.versions.get(number)
        if seen and seen.identity == identity(text):
            return seen  # not parsed again: it may be large
        return self._remember(described(model, number, text))

    def _remember(self, served: ServedVersion) -> ServedVersion:
        versions = self._known[served.model].versions
        known = versions.get(served.number)
        if known and known.identity == served.identity:
            return known
        versions[served.number] = served
        if len(versions) > _MOST_VERSIONS:
            versions.pop(min(tuple(versions)), None)
        return served


def unknown_version(model: str, number: int) -> Problem:
    return Problem(UNKNOWN_VERSION, f"model {model} has no version {number}")
