"""A change of what is served, step by step, each of them live on every replica before the next."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from contract.files import write_whole
from contract.wire.tls import Tls
from export.rollout import config_file, judge, plan
from export.rollout.errors import ConfigFileError, NotLiveError, WorseError
from export.rollout.plan import CANARY, PREVIOUS, STABLE, Serving
from export.rollout.replicas import ModelServers

_LABELS = (STABLE, CANARY, PREVIOUS)


@dataclass(frozen=True)
class Store:
    """Where the model configuration is read from and written to.

    Attributes:
        name: what errors call it.
        read: returns the text.
        write: takes the text that is to be in force.
    """

    name: str
    read: Callable[[], str]
    write: Callable[[str], None]


def read_text(path: Path) -> str:
    """Returns a file's text.

    Raises:
        ConfigFileError: it isn't UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"{path}: is no model configuration: {error}") from error


def in_file(path: Path) -> Store:
    """A file that the model servers read, or a copy of it that someone brings to them."""
    path = path.resolve()  # a link stays one

    def write(text: str) -> None:
        mode = path.stat().st_mode
        write_whole(path, text.encode())
        path.chmod(mode)  # the model server may be another user

    return Store(str(path), lambda: read_text(path), write)


def as_patches(text: str, key: str, show: Callable[[str], None]) -> Store:
    """A ConfigMap that someone else patches: each text is shown as a patch, JSON in one line.

    Args:
        text: what is in force.
        key: of the ConfigMap's data.
    """
    held = [text]

    def write(changed: str) -> None:
        held[:] = [changed]
        show(json.dumps({"data": {key: changed}}, ensure_ascii=False))

    return Store(key, lambda: held[0], write)


@dataclass(frozen=True)
class Options:
    """How a change is made.

    Attributes:
        addresses: of the model servers, as ModelServers takes them.
        tls: None calls them in the clear.
        wait_seconds: for one step to be live everywhere.
        settle_seconds: between the labels' move and the end of what has none: the time in which
            every gateway asks for them again.
        tolerance: by how much the deciding metric may be worse.
        prometheus: address of the Prometheus that knows the canary's traffic; empty: don't ask.
        window: how far to look back there.
        force: make the change although the version is worse.
        undo: put the configuration back where the change does not get through; a rollback goes on
            with the model servers that follow.
        poll_seconds: between two looks at the model servers.
    """

    addresses: tuple[str, ...]
    tls: Tls | None
    wait_seconds: float
    settle_seconds: float
    tolerance: float = 0.0
    prometheus: str = ""
    window: str = "15m"
    force: bool = False
    undo: bool = True
    poll_seconds: float = 0.5


def change(
    model: str,
    target_of: Callable[[Serving], Serving],
    store: Store,
    options: Options,
    say: Callable[[str], None],
) -> Serving:
    """Changes what is served of a model and returns it, once every replica serves it.

    Until the labels have moved everywhere, whatever goes wrong, Ctrl-C too, puts the configuration
    back as it was, unless the options say otherwise.

    Args:
        model: its name in the configuration.
        target_of: one of plan's functions, from what is served now.
        store: of the configuration.
        options: how.
        say: takes a line about what goes on.

    Raises:
        PlanError: the change makes no sense from where the model is.
        WorseError: a version that gets the label stable or canary is worse than the stable one.
        NotLiveError: a step was not live in time, or a version could not be loaded.
        ConfigFileError: the configuration can't be read or edited, or somebody else changed it.
    """
    try:
        return _change(model, target_of, store, options, say)
    except ConfigFileError as error:
        raise ConfigFileError(f"{store.name}: {error}") from error


def _change(
    model: str,
    target_of: Callable[[Serving], Serving],
    store: Store,
    options: Options,
    say: Callable[[str], None],
) -> Serving:
    before = store.read()
    now = config_file.read(before, model)
    target = target_of(now)
    with closing(ModelServers(options.addresses, options.tls)) as servers:
        run = _Run(model, store, servers, options, say)
        available = run.available() if options.undo or now.versions is None else ()
        to_load, to_move, to_drop = plan.steps(now, target, available)
        text = before
        try:
            if options.undo or to_load != now:  # a way back does not wait for what it has left
                text = run.make(text, to_load, "load")
            run.judge(now, target)
            text = run.make(text, to_move, "move the labels")
        except BaseException:
            if options.undo:
                run.put_back(before)
            raise
        if to_drop != to_move:
            time.sleep(options.settle_seconds)
            run.make(text, to_drop, "drop what has no label")
    return target


@dataclass
class _Run:
    model: str
    store: Store
    servers: ModelServers
    options: Options
    say: Callable[[str], None]
    written: str | None = None

    def available(self) -> set[int]:
        """The versions that some model server has; all of them have to answer."""
        replicas = self.servers.ask(self.model, ())
        for replica in replicas:
            if replica.error:
                raise NotLiveError(f"{replica.address}: {replica.error}")
        return {number for replica in replicas for number in replica.available}

    def make(self, text: str, state: Serving, what: str) -> str:
        """Brings a state into force and waits for it; returns the configuration's text."""
        if self.store.read() != text:
            raise ConfigFileError("somebody else has changed the configuration meanwhile")
        changed, failed = text, frozenset[tuple[str, int]]()
        if config_file.read(text, self.model) != state:
            changed = config_file.edit(text, self.model, state)
            if self.options.undo:  # a way back is written whoever answers
                failed = self._failures()
            self.written = changed  # first: a stop in the middle of the next line is one after it
            self.store.write(changed)
        self.say(f"{what}: {_words(state)}")
        self._wait(state, failed)
        return changed

    def judge(self, now: Serving, target: Serving) -> None:
        """Says how good the version is that gets a label, and refuses one that is worse."""
        stable, new = now.labels.get(STABLE), target.labels[STABLE]
        new = target.labels.get(CANARY, new)
        if stable is None or stable == new or target.labels[STABLE] == now.labels.get(PREVIOUS):
            return  # nothing to compare with, nothing new, or a way back
        try:
            tolerance = self.options.tolerance
            manifests = [self.servers.describe(self.model, number) for number in (stable, new)]
            for line in judge.compare(manifests[0], manifests[1], tolerance):
                self.say(line)
            if self.options.prometheus and now.labels.get(CANARY) == target.labels[STABLE]:
                where = (self.options.prometheus, self.model)
                tracks = [
                    judge.traffic(*where, track, self.options.window) for track in (STABLE, CANARY)
                ]
                for line in judge.compare_traffic(*tracks):
                    self.say(line)
        except WorseError as error:
            if not self.options.force:
                raise WorseError(f"version {new}: {error}; --force does it all the same") from error
            self.say(f"{error}: forced")

    def put_back(self, before: str) -> None:
        """Puts the configuration back, unless nothing was written or it is somebody else's now."""
        if self.written is None or self.store.read() not in (before, self.written):
            return
        self.store.write(before)
        self.say("the configuration is as it was before")

    def _failures(self) -> frozenset[tuple[str, int]]:
        """Versions that have failed before: they say nothing about the next attempt."""
        replicas = self.servers.ask(self.model, ())
        return frozenset((replica.address, n) for replica in replicas for n in replica.failed)

    def _wait(self, state: Serving, failed_before: frozenset[tuple[str, int]]) -> None:
        until = time.monotonic() + self.options.wait_seconds
        while True:
            replicas = self.servers.ask(self.model, _LABELS)
            lacking = [text for replica in replicas if (text := replica.lacks(state, _LABELS))]
            if not lacking:
                self.say(f"live on {len(replicas)} of {len(replicas)} model servers")
                return
            for replica in replicas:
                for number in set(state.versions or ()) & set(replica.failed):
                    if (replica.address, number) not in failed_before:
                        raise NotLiveError(replica.lacks(state, _LABELS))
            if time.monotonic() > until:
                raise NotLiveError(
                    f"not live on {len(lacking)} of {len(replicas)} model servers after"
                    f" {self.options.wait_seconds:g} s: {lacking[0]}"
                )
            time.sleep(self.options.poll_seconds)


def _words(state: Serving) -> str:
    labels: dict[int, list[str]] = {number: [] for number in state.versions or ()}
    for label, number in sorted(state.labels.items()):
        labels.setdefault(number, []).append(label)
    return ", ".join(
        f"version {number}" + (f" ({', '.join(names)})" if names else "")
        for number, names in sorted(labels.items())
    )
