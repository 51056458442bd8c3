"""What is served of a model, and the steps from one state to another. Pure functions.

A label in use may only move to a version that every replica has loaded, since the gateways name
versions by their number and any replica may be asked. So a change has up to three steps: load,
move the labels, drop what has no label any more.

At rest two versions are loaded at most: the stable one, and the canary or the previous one. A
version above the stable one stays only as a canary: callers that name no label get the highest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from export.rollout.errors import PlanError

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"


@dataclass(frozen=True)
class Serving:
    """What a model's entry in the configuration asks for.

    Attributes:
        versions: to load, ascending; None: the model server chooses by what is on the disk.
        labels: label → version; also those that are none of ours.
    """

    versions: tuple[int, ...] | None = None
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Steps:
    """The states of a change, in order; one may be equal to the one before it.

    Attributes:
        load: all versions that are needed before or after, under the labels of before.
        move: the same versions, under the labels of after.
        drop: only the versions that have a label.
    """

    load: Serving
    move: Serving
    drop: Serving

    def __iter__(self) -> Iterator[Serving]:
        return iter((self.load, self.move, self.drop))


def promoted(now: Serving, version: int | None) -> Serving:
    """Returns the state in which a version is the stable one; None means the canary.

    Raises:
        PlanError: there is no canary, or another one than this version.
    """
    labels = dict(now.labels)
    canary, stable = labels.pop(CANARY, None), labels.get(STABLE)
    if version is None:
        version = canary
    if version is None:
        raise PlanError("no version has the label canary: say which VERSION is to be promoted")
    if canary not in (None, version):
        raise PlanError(f"version {canary} is the canary: promote it or roll it back first")
    if version != stable:
        labels.pop(PREVIOUS, None)
        if stable is not None and stable < version:
            labels[PREVIOUS] = stable
        labels[STABLE] = version
    return _at_rest(labels)


def tried(now: Serving, version: int | None) -> Serving:
    """Returns the state in which a version is the canary beside the stable one.

    Raises:
        PlanError: there is no stable version, it is this one, or there is another canary.
    """
    stable, canary = now.labels.get(STABLE), now.labels.get(CANARY)
    if version is None:
        raise PlanError("say which VERSION is to be the canary")
    if stable is None:
        raise PlanError(
            "no version has the label stable, which a canary is compared with: promote the one"
            " that is served now first, by its number"
        )
    if version == stable:
        raise PlanError(f"version {version} is the stable one")
    if canary not in (None, version):
        raise PlanError(f"version {canary} is the canary: promote it or roll it back first")
    labels = {label: number for label, number in now.labels.items() if label != PREVIOUS}
    return _at_rest(labels | {CANARY: version})


def rolled_back(now: Serving) -> Serving:
    """Returns the state without the canary, or, where there is none, of before the last promotion.

    Raises:
        PlanError: there is nothing to go back to.
    """
    labels = dict(now.labels)
    if CANARY in labels:
        del labels[CANARY]
    elif PREVIOUS in labels:
        labels[STABLE] = labels.pop(PREVIOUS)
    elif STABLE not in labels or set(now.versions or ()) <= set(labels.values()):
        # Else a rollback was killed after it had moved the labels: this one ends it.
        raise PlanError("no version has the label canary or previous: promote one by its number")
    return _at_rest(labels)


def steps(now: Serving, target: Serving, available: Collection[int]) -> Steps:
    """Returns the states of a change.

    Args:
        now: as the configuration has it.
        target: where to go; its versions are those of its labels.
        available: versions that the model servers have, which they may have chosen themselves.
    """
    wanted = set(target.versions or ())
    kept = set(available if now.versions is None else now.versions)
    # Nobody is on the previous version any more: there is room for the new one.
    elsewhere = {number for label, number in now.labels.items() if label != PREVIOUS}
    kept -= {now.labels.get(PREVIOUS)} - elsewhere
    loaded = tuple(sorted(kept | wanted))
    labels = {label: number for label, number in now.labels.items() if number in loaded}
    return Steps(Serving(loaded, labels), Serving(loaded, target.labels), target)


def _at_rest(labels: Mapping[str, int]) -> Serving:
    return Serving(tuple(sorted(set(labels.values()))), labels)
