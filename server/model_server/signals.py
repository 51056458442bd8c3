"""SIGTERM and SIGINT, as something to wait for."""

import os
import queue
import signal
import sys
import threading
from collections import Counter


def catch() -> "queue.SimpleQueue[str]":
    """A queue in which the first SIGTERM or SIGINT shows up; a second one ends the process at once.

    Whoever signals every process of a name reaches this one twice, directly and through the process
    that watches over it; so only a second signal of the same way counts.

    A thread takes them: a handler would run only once the main thread wakes up, and one that has
    just gone to sleep on a lock does not wake up for a signal.
    """
    arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # for the threads to come, too

    def watch() -> None:
        seen: Counter[bool] = Counter()
        while True:
            number, passed_on = _wait(stops)
            if not seen:
                arrived.put(signal.Signals(number).name)
            seen[passed_on] += 1
            if seen[passed_on] == 2:
                os._exit(128 + number)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return arrived


def _wait(signals: set[signal.Signals]) -> tuple[int, bool]:
    """The next of these signals, and whether the parent sent it."""
    if sys.platform == "linux":
        info = signal.sigwaitinfo(signals)
        return info.si_signo, info.si_pid == os.getppid()
    return signal.sigwait(signals), True
