"""Heavy work: done by other threads, counted while it waits, and not begun for who has left."""

import gc
import threading
import time
import weakref
from contextlib import suppress

from server.deadline import Deadline
from server.greenlets import sleep
from server.heavy import Heavy
from server.problems import Problem
from tests.server.figures import figure
from tests.server.test_greenlets import together


def test_who_has_left_gets_nothing_done() -> None:
    heavy, go, done = Heavy(1), threading.Event(), []

    def first() -> None:
        heavy.run(Deadline.after(60), go.wait, 60)

    def late() -> None:
        try:
            heavy.run(Deadline.after(0.05), done.append, 1)
        finally:
            go.set()

    one, two = together(first, late)
    assert one is None
    assert isinstance(two, Problem)
    assert two.kind.name == "timeout"
    together(lambda: heavy.run(Deadline.after(60), int))  # whatever waited has had its turn
    assert done == []


def test_who_leaves_during_its_work_hears_of_it_at_once() -> None:
    heavy, go = Heavy(1), threading.Event()
    began = time.monotonic()
    (late,) = together(lambda: heavy.run(Deadline.after(0.05), go.wait, 60))
    go.set()
    assert isinstance(late, Problem)
    assert time.monotonic() - began < 30


def test_who_waits_is_counted() -> None:
    heavy, go = Heavy(1), threading.Event()
    depth = figure("lince_queue_depth") or 0

    def work() -> bool:
        return heavy.run(Deadline.after(60), go.wait, 60)

    def look() -> float | None:
        sleep(0.05)
        found = figure("lince_queue_depth")
        go.set()
        return found

    *worked, seen = together(work, work, work, look)
    assert worked == [True] * 3
    assert seen == depth + 2
    assert figure("lince_queue_depth") == depth


def test_light_work_is_done_at_once() -> None:
    heavy = Heavy(1)

    def run(light: bool) -> int:
        return heavy.run_unless(light, Deadline.after(60), threading.get_ident)

    mine, theirs = together(lambda: run(True), lambda: run(False))
    assert mine == threading.get_ident() != theirs


class _Body:
    """Something that can be watched."""


def test_an_error_keeps_nothing_of_its_request() -> None:
    """Else the collector alone would find the bodies of those who sent what is broken."""
    heavy, kept = Heavy(1), []

    def fail(_body: _Body) -> None:
        raise KeyError

    def ask() -> None:
        body = _Body()
        kept.append(weakref.ref(body))
        with suppress(KeyError):
            heavy.run(Deadline.after(60), fail, body)

    gc.collect()
    gc.disable()
    try:
        together(ask)
        sleep(0.05)  # the thread lets go of its work
        assert kept[0]() is None
    finally:
        gc.enable()
