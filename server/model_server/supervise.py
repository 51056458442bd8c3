"""A small process that watches over the server: a crash is reported, and the server comes back.

TensorFlow runs code of other people's making in the server's process. If a model's code kills it,
this process says what was in hand, starts the server again, and a version that keeps killing it is
not loaded any more, so that the other models live on.
"""

import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import grpc

from server.model_server.errors import ServingError
from server.model_server.journal import Journal, Work

Quarantine = Mapping[tuple[str, int], ServingError]
"""Versions that are not to be loaded, by model and number, with the error to show for them."""

_POINTS = 3
"""Of suspicion, at which a version is not loaded any more: crashes during requests that it was
working on. One alone during its load is enough: nothing but the load can be to blame."""

_MOST_BLIND = 3
"""Crashes that nothing was in hand for; after so many the server is given up."""

_STOPS = {signal.SIGTERM, signal.SIGINT}


@dataclass
class _History:
    points: Counter[tuple[str, int]] = field(default_factory=Counter)
    blind: int = 0

    def add(self, works: list[Work]) -> None:
        versions = {(work.model, work.version) for work in works}
        alone = len(works) == 1 and works[0].kind == "load"
        self.points.update(dict.fromkeys(versions, _POINTS if alone else 1))
        self.blind += not versions

    def quarantine(self, end: str) -> Quarantine:
        return {
            version: ServingError(
                grpc.StatusCode.INTERNAL,
                f"the model server died ({end}) while it worked on this version, which is "
                "therefore not loaded any more",
            )
            for version, points in self.points.items()
            if points >= _POINTS
        }


Serve = Callable[[Journal, Quarantine], int]


def supervised(serve: Serve) -> int:
    """Run `serve` in a process of its own, again after each crash.

    Call it before any thread starts and before TensorFlow is loaded: it forks. The process gets
    SIGTERM and SIGINT of this one, and ends with it.

    Args:
        serve: The server; returns its exit status.

    Returns:
        The exit status: the server's, or 128 and the number of the signal that killed it if that
        keeps happening. Only this process returns; the server's ends.
    """
    journal, history = Journal(), _History()
    quarantine: Quarantine = {}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOPS, signal.SIGCHLD})
    try:
        while True:
            mine, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(theirs)
                # A stop that comes early waits until the server is ready to take it.
                signal.pthread_sigmask(signal.SIG_SETMASK, before | _STOPS)
                _end_with_parent(mine)
                _end(_status(serve, journal, quarantine))
            os.close(mine)
            status, told_to_stop = _wait(child)
            os.close(theirs)
            if not os.WIFSIGNALED(status):
                return os.waitstatus_to_exitcode(status)
            end = signal.Signals(os.WTERMSIG(status)).name
            works = journal.in_hand()
            history.add(works)
            if told_to_stop or history.blind >= _MOST_BLIND:
                _report(end, works)
                return 128 + os.WTERMSIG(status)
            _report(end, works, "; starting it again")
            quarantine = {**history.quarantine(end), **quarantine}
            journal.clear()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _status(serve: Serve, journal: Journal, quarantine: Quarantine) -> int:
    try:
        return serve(journal, quarantine)
    except BaseException:
        traceback.print_exc()
        return 1


def _end(code: int) -> NoReturn:
    """End the server's process. Python's own end would wait for every thread of gRPC's pool, and
    one may run, for nobody any more, a graph that never ends.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int) -> tuple[int, bool]:
    """Wait for the child's end, passing signals on.

    Returns:
        Its status as waitpid gives it, and whether it was told to stop.
    """
    stopping = False
    while True:
        arrived = signal.sigwait({*_STOPS, signal.SIGCHLD})
        if arrived in _STOPS:
            stopping = True
            os.kill(child, arrived)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, stopping


def _report(end: str, works: list[Work], then: str = "") -> None:
    counted = Counter(str(work) for work in works)
    shown = ", ".join(f"{text}" + (f" (×{n})" if n > 1 else "") for text, n in counted.items())
    hint = " (out of memory?)" if end == "SIGKILL" else ""
    text = f"the model server died: {end}{hint}; in hand: {shown or 'nothing'}{then}"
    print(text, file=sys.stderr, flush=True)


def _end_with_parent(pipe: int) -> None:
    # A group of its own, or Ctrl-C would reach it twice: from the terminal and from its parent.
    os.setpgid(0, 0)

    def watch() -> None:
        os.read(pipe, 1)  # Nobody ever writes: it returns when the other end is gone.
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
