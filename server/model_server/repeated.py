"""Something done again and again in a thread, and complaints that are made once."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Repeated:
    """Does something every so many seconds, in a thread.

    Args:
        what: Names it, in the thread and in the log.
        wait_seconds: Before each time; 0 or less never does it.
        work: What to do. It may fail: the thread goes on.
    """

    def __init__(self, what: str, wait_seconds: float, work: Callable[[], None]) -> None:
        self._what = what
        self._wait_seconds = wait_seconds
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=what, daemon=True)

    def start(self) -> None:
        if self._wait_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """Let it end, once it is not at work."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def is_stopping(self) -> bool:
        return self._stopped.is_set()

    def _repeat(self) -> None:
        while not self._stopped.wait(self._wait_seconds):
            try:
                self._work()
            except Exception:
                # Nobody else sees what it looks for: it must outlive a bug.
                log.exception("%s failed", self._what)


class Complaints:
    """Logs what is wrong when it begins or changes, not each time that it still is."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._last = ""

    def say(self, text: str) -> None:
        """Say what is wrong now; empty if nothing is."""
        if text and text != self._last:
            self._logger.log(self._level, text)
        self._last = text
