"""The life of versions: loading, serving, unloading, and handing them out to requests.

Each model has a thread that brings its versions towards what is aspired: load what is missing,
then unload what is no longer wanted once something wanted is available, then close what no request
uses any more. It ends with the model's last version. Requests only take the lock to pick a version
and to give it back.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

import grpc

from server.model_server.errors import (
    ServingError,
    failed_precondition,
    invalid_argument,
    not_found,
)
from server.model_server.journal import Journal, encoded
from server.model_server.servable import Servable
from server.model_server.supervise import Quarantine

log = logging.getLogger(__name__)

Loader = Callable[[str, int, str], Servable]
"""Loads and warms up: model name, version, folder → ready to serve, or a ServingError."""


class State(IntEnum):
    """The numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Retries:
    """How often, and after how many seconds, a failed load is tried again."""

    count: int = 0
    wait_seconds: float = 60.0


@dataclass
class Version:
    """One version of one model. All fields are guarded by the manager's lock.

    `work` is what the journal says of its requests.
    """

    number: int
    path: str
    work: bytes
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    borrowed: int = 0


@dataclass
class Model:
    """One model: every version ever seen, and those that should be served."""

    name: str
    versions: dict[int, Version] = field(default_factory=dict)
    aspired: dict[int, str] = field(default_factory=dict)
    thread: threading.Thread | None = None

    def is_over(self) -> bool:
        """Whether nothing is left to do until other versions are aspired."""
        return not self.aspired and all(v.state is State.END for v in self.versions.values())


class Step(IntEnum):
    """What to do next for a model."""

    CLOSE = 1
    LOAD = 2
    UNLOAD = 3


def next_step(model: Model) -> tuple[Step, Version] | None:
    """The next step towards what is aspired; a version that works goes only once another does."""
    versions = model.versions.values()
    idle = [v for v in versions if v.state is State.UNLOADING and v.borrowed == 0]
    if idle:
        return Step.CLOSE, idle[0]
    waiting = [v for v in versions if v.state is State.START]
    if waiting:
        return Step.LOAD, max(waiting, key=lambda v: v.number)
    available = [v for v in versions if v.state is State.AVAILABLE]
    unwanted = [v for v in available if v.number not in model.aspired]
    if unwanted and (not model.aspired or len(unwanted) < len(available)):
        return Step.UNLOAD, min(unwanted, key=lambda v: v.number)
    return None


class Manager:
    """Holds the versions of all models.

    Args:
        loader: Loads one version.
        retries: For loads that fail.
        journal: Where to note what is in hand.
        quarantine: Versions that are not to be loaded.
    """

    def __init__(
        self,
        loader: Loader,
        retries: Retries,
        journal: Journal | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._loader = loader
        self._retries = retries
        self._journal = journal or Journal()
        self._quarantine = quarantine or {}
        self._changed = threading.Condition()
        self._models: dict[str, Model] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}
        self._closed = False

    def aspire(self, aspired: Mapping[str, Mapping[int, str]]) -> None:
        """Say which versions should be served, for some models; returns at once."""
        with self._changed:
            for name, versions in aspired.items():
                model = self._models.get(name)
                if model is None:
                    model = self._models[name] = Model(name)
                _take_over(model, versions)
                if model.thread is None and not model.is_over() and not self._closed:
                    self._start(model)
            self._changed.notify_all()

    @contextmanager
    def borrow(self, name: str, version: int | None = None) -> Iterator[Servable]:
        """A version to run, by default the highest available; it stays loaded meanwhile.

        Raises:
            ServingError: NOT_FOUND if it isn't available.
        """
        with self._changed:
            entry = self._find(name, version)
            servable = entry.servable
            assert servable is not None
            entry.borrowed += 1
        slot = self._journal.enter(entry.work)
        try:
            yield servable
        finally:
            self._journal.leave(slot)
            with self._changed:
                entry.borrowed -= 1
                # Only a version that is to go is waited for; each wake-up takes time from calls.
                if entry.borrowed == 0 and entry.state is State.UNLOADING:
                    self._changed.notify_all()

    def statuses(self, name: str) -> dict[int, tuple[State, ServingError | None]]:
        """The state of every version ever seen of a model, highest first; empty if unknown."""
        with self._changed:
            model = self._models.get(name)
            versions = model.versions if model else {}
            return {n: (versions[n].state, versions[n].error) for n in sorted(versions)[::-1]}

    def labelled(self, name: str, label: str) -> int:
        """The version that a label of a model stands for.

        Raises:
            ServingError: INVALID_ARGUMENT: the model, or the label of it, is unknown.
        """
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return version

    def assign_labels(
        self,
        labels: Mapping[str, Mapping[str, int]],
        may_be_away: Callable[[str, str], bool],
    ) -> None:
        """Replace all labels of all models, at once; after an error they are as before.

        Args:
            labels: For each model its labels and their versions.
            may_be_away: Whether this label of this model may stand for a version that isn't
                available.

        Raises:
            ServingError: FAILED_PRECONDITION: a label stands for a version that isn't available.
        """
        with self._changed:
            for name, entries in labels.items():
                model = self._models.get(name) or Model(name)
                for label, number in entries.items():
                    version = model.versions.get(number)
                    there = version is not None and version.state is State.AVAILABLE
                    if not there and not may_be_away(name, label):
                        raise failed_precondition(
                            f"Request to assign label to version {number} of model {name}, which "
                            "is not currently available for inference"
                        )
            self._labels = {name: dict(entries) for name, entries in labels.items() if entries}

    def labels(self) -> Mapping[str, Mapping[str, int]]:
        """All labels of all models, and their versions."""
        return self._labels

    def first_loads(
        self, models: Mapping[str, Collection[int]], seconds: float
    ) -> Mapping[str, Version] | None:
        """Wait until each of these models has a version available, or only failed ones.

        Args:
            models: Their names, and versions whose load is waited for, too, where they are aspired.
            seconds: To wait for it.

        Returns:
            The highest version of each model that failed; None if some are still undecided when
            the seconds are over.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._are_decided(models), seconds):
                return None
            there = [self._models[name] for name in models]
            return {m.name: m.versions[max(m.versions)] for m in there if not _has_available(m)}

    def _are_decided(self, models: Mapping[str, Collection[int]]) -> bool:
        known = {name: self._models.get(name) or Model(name) for name in models}
        return all(
            (_has_available(model) or _has_failed(model))
            and not any(_is_underway(model, number) for number in models[name])
            for name, model in known.items()
        )

    def in_use(self) -> int:
        """How many requests hold a version just now."""
        with self._changed:
            return sum(v.borrowed for m in self._models.values() for v in m.versions.values())

    def close(self) -> None:
        """Stop the threads and close what is loaded; nothing may be in use any more."""
        with self._changed:
            self._closed = True
            threads = [m.thread for m in self._models.values() if m.thread]
            self._changed.notify_all()
        for thread in threads:
            # A load can take minutes and can't be stopped; its daemon thread dies with us.
            thread.join(timeout=1.0)
        with self._changed:
            loaded = [v for m in self._models.values() for v in m.versions.values() if v.servable]
        for version in loaded:
            if version.servable is not None and version.borrowed == 0:
                version.servable.close()

    def _find(self, name: str, version: int | None) -> Version:
        model = self._models.get(name)
        versions = model.versions if model else {}
        if version is None:
            available = [n for n, entry in versions.items() if entry.state is State.AVAILABLE]
            if not available:
                raise not_found(f"Servable not found for request: Latest({name})")
            return versions[max(available)]
        entry = versions.get(version)
        if entry is None or entry.state is not State.AVAILABLE:
            raise not_found(f"Servable not found for request: Specific({name}, {version})")
        return entry

    def _start(self, model: Model) -> None:
        thread = threading.Thread(
            target=self._tend, args=(model,), name=f"tend-{model.name}", daemon=True
        )
        model.thread = thread
        thread.start()

    def _tend(self, model: Model) -> None:
        while True:
            with self._changed:
                while (step := next_step(model)) is None and not self._closed:
                    if model.is_over():
                        break
                    self._changed.wait()
                if self._closed or step is None:
                    model.thread = None
                    return
            kind, version = step
            if kind is Step.LOAD:
                self._load(model, version)
            elif kind is Step.UNLOAD:
                self._move(model, version, State.UNLOADING)
            else:
                self._end(model, version)

    def _move(self, model: Model, version: Version, state: State, note: str = "") -> None:
        with self._changed:
            version.state = state
            self._changed.notify_all()
        log.info("model %s version %d: %s%s", model.name, version.number, state.name, note)

    def _load(self, model: Model, version: Version) -> None:
        self._move(model, version, State.LOADING)
        began = time.monotonic()
        key = (model.name, version.number)
        attempts = 1 if key in self._quarantine else 1 + self._retries.count
        for attempt in range(1, attempts + 1):
            try:
                servable = self._load_once(*key, version.path)
            except Exception as error:
                failure = _as_serving_error(error)
            else:
                with self._changed:
                    version.servable = servable
                note = f" after {time.monotonic() - began:.2f} s"
                self._move(model, version, State.AVAILABLE, note)
                return
            log.warning(
                "model %s version %d: load %d of at most %d failed: %s",
                *(model.name, version.number, attempt, attempts, failure),
            )
            if attempt == attempts or not self._wait_for_retry(model, version):
                break
        with self._changed:
            version.error = failure
        self._move(model, version, State.END)

    def _load_once(self, name: str, number: int, path: str) -> Servable:
        if (name, number) in self._quarantine:
            raise self._quarantine[name, number]
        slot = self._journal.enter(encoded("load", name, number))
        try:
            return self._loader(name, number, path)
        finally:
            self._journal.leave(slot)

    def _wait_for_retry(self, model: Model, version: Version) -> bool:
        """Wait until the next try; False at once if the version is no longer wanted."""

        def pointless() -> bool:
            return self._closed or version.number not in model.aspired

        with self._changed:
            return not self._changed.wait_for(pointless, self._retries.wait_seconds)

    def _end(self, model: Model, version: Version) -> None:
        servable, version.servable = version.servable, None
        if servable is not None:
            servable.close()
        del servable
        # A graph is full of reference cycles, and its constants can be most of a model's memory.
        gc.collect()
        self._move(model, version, State.END)
        with self._changed:
            if version.number in model.aspired:  # It came back while requests still ran.
                version.state = State.START


def _take_over(model: Model, aspired: Mapping[int, str]) -> None:
    """Note what is aspired; a failed version gets another chance only after it was away."""
    for number, path in aspired.items():
        version = model.versions.get(number)
        returned = number not in model.aspired
        if version is None or (returned and version.state is State.END):
            work = encoded("run", model.name, number)
            model.versions[number] = Version(number, path, work)
    for number, version in model.versions.items():
        if number not in aspired and version.state is State.START:
            version.state = State.END
    model.aspired = dict(aspired)


def _is_underway(model: Model, number: int) -> bool:
    version = model.versions.get(number)
    return version is not None and version.state in (State.START, State.LOADING)


def _has_available(model: Model) -> bool:
    return any(version.state is State.AVAILABLE for version in model.versions.values())


def _has_failed(model: Model) -> bool:
    versions = model.versions.values()
    return any(v.error for v in versions) and all(v.state is State.END for v in versions)


def _as_serving_error(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    log.error("load failed in an unexpected way", exc_info=error)
    return ServingError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
