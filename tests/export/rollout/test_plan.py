"""From state to state, and never through one in which a label stands for nothing."""

import pytest

from export.rollout import plan
from export.rollout.errors import PlanError
from export.rollout.plan import Serving


def serving(text: str, *versions: int) -> Serving:
    """serving("s1 c2") has the labels stable and canary; versions only where they are others."""
    names = {"s": "stable", "c": "canary", "p": "previous", "x": "x"}
    labels = {names[word[0]]: int(word[1:]) for word in text.split()}
    return Serving(versions or tuple(sorted(set(labels.values()))), labels)


UNKNOWN = Serving()


@pytest.mark.parametrize(
    ("now", "version", "then"),
    [
        (UNKNOWN, 1, serving("s1")),
        (serving("s1"), 2, serving("s2 p1")),
        (serving("s2"), 1, serving("s1")),  # 2 may not stay: callers without a label would get it
        (serving("s2 p1"), 3, serving("s3 p2")),
        (serving("s2 p1"), 1, serving("s1")),
        (serving("s2 p1"), 2, serving("s2 p1")),
        (serving("s1 c2"), None, serving("s2 p1")),
        (serving("s1 c2"), 2, serving("s2 p1")),
        (serving("s2 c1"), None, serving("s1")),
        (serving("s1 x1"), 2, serving("s2 p1 x1")),
        (serving("s2 p1 x1"), 3, serving("s3 p2 x1")),
        (serving("s2", 1, 2, 3), 2, serving("s2")),
    ],
)
def test_promote(now: Serving, version: int | None, then: Serving) -> None:
    assert plan.promoted(now, version) == then


@pytest.mark.parametrize(
    ("now", "version", "then"),
    [
        (serving("s1"), 2, serving("s1 c2")),
        (serving("s2 p1"), 3, serving("s2 c3")),
        (serving("s2 p1"), 1, serving("s2 c1")),
        (serving("s1 c2"), 2, serving("s1 c2")),
        (serving("s1 x1"), 2, serving("s1 c2 x1")),
    ],
)
def test_try(now: Serving, version: int, then: Serving) -> None:
    assert plan.tried(now, version) == then


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (serving("s1 c2"), serving("s1")),
        (serving("s2 p1"), serving("s1")),
        (serving("s1 p1 c2"), serving("s1 p1")),
        (serving("s1", 1, 2), serving("s1")),  # what a killed rollback left
        (serving("s2 p1 x2"), serving("s1 x2")),
    ],
)
def test_roll_back(now: Serving, then: Serving) -> None:
    assert plan.rolled_back(now) == then


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plan.promoted(serving("s1"), None), "VERSION"),
        (lambda: plan.promoted(UNKNOWN, None), "VERSION"),
        (lambda: plan.promoted(serving("s1 c2"), 3), "version 2 is the canary"),
        (lambda: plan.promoted(serving("s1 c2"), 1), "version 2 is the canary"),
        (lambda: plan.tried(UNKNOWN, 2), "stable"),
        (lambda: plan.tried(serving("s1"), None), "VERSION"),
        (lambda: plan.tried(serving("s1"), 1), "version 1 is the stable one"),
        (lambda: plan.tried(serving("s1 c2"), 3), "version 2 is the canary"),
        (lambda: plan.rolled_back(serving("s1")), "previous"),
        (lambda: plan.rolled_back(UNKNOWN), "previous"),
    ],
)
def test_what_makes_no_sense(call: object, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("now", "target", "available", "loaded"),
    [
        (UNKNOWN, serving("s1"), {2}, (1, 2)),  # 2 serves until the label has moved
        (serving("s1"), serving("s2 p1"), {1}, (1, 2)),
        (serving("s2 p1"), serving("s3 p2"), {1, 2}, (2, 3)),  # two at a time
        (serving("s2 p1"), serving("s1"), {1, 2}, (1, 2)),
        (serving("s2 p1 x1"), serving("s3 p2 x1"), {1, 2}, (1, 2, 3)),
        (serving("s1 c2"), serving("s1"), {1, 2}, (1, 2)),
    ],
)
def test_steps(now: Serving, target: Serving, available: set[int], loaded: tuple[int, ...]) -> None:
    load, move, drop = plan.steps(now, target, available)
    assert load.versions == move.versions == loaded
    assert load.labels.items() <= now.labels.items()
    assert (move.labels, drop) == (target.labels, target)
    for state in (load, move, drop):
        assert set(state.labels.values()) <= set(state.versions or ())
    # A label that is in use goes on standing for what it stood for until the second step.
    assert set(now.labels) - set(load.labels) <= {"previous"}
