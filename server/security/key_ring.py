"""The API keys in force: looked up for each request, read again when their file changes."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.errors import KeyFileError
from server.security import key_file
from server.security.rates import Rate

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
# A file system's clock ticks in milliseconds or, on some, seconds: what was written this recently
# may have been written once more since, with nothing to tell by.
_SETTLED_SECONDS = 2.0
# Longer ones are not worth a hash.
_LONGEST = 256
_NOBODY = bytes(32)


@dataclass(frozen=True)
class Holder:
    """Who has a key.

    Attributes:
        name: what the log calls them.
        digest: SHA-256 of the key.
        rate: how often they may call; None for as often as they like.
    """

    name: str
    digest: bytes
    rate: Rate | None


class KeyRing:
    """The keys of a file. Whoever asks first after a second looks whether the file has changed.

    A file that is broken or gone leaves the keys as they were, and the log says so.

    Args:
        default_rate: requests per second of a key that has no rate of its own, 0 for no limit.

    Raises:
        KeyFileError: the file is broken from the start.
    """

    def __init__(
        self, path: Path, default_rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._default_rate = default_rate
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = _look(path)
        self._holders = self._read()
        self._next_look = clock() + _LOOK_SECONDS
        self._said = ""

    def find(self, secret: str) -> Holder | None:
        """Returns who has a key; None if nobody does."""
        if self._clock() >= self._next_look:
            self._look_again()
        if len(secret) > _LONGEST:
            return None
        digest = key_file.digest(secret)
        # How long the search takes tells of the hash alone, which nobody can aim at a key's; the
        # whole is compared in constant time.
        holder = self._holders.get(digest[:8])
        found = hmac.compare_digest(digest, holder.digest if holder else _NOBODY)
        return holder if found else None

    def _look_again(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread is at it; until then the keys are what they were
        try:
            self._next_look = self._clock() + _LOOK_SECONDS
            look = _look(self._path)
            if look is None or look != self._seen:
                self._replace(self._read())
            self._seen, self._said = look, ""
        except KeyFileError as error:
            self._complain(f"the API keys stay as they were: {error}")
        finally:
            self._lock.release()

    def _replace(self, holders: dict[bytes, Holder]) -> None:
        if holders != self._holders:
            self._holders = holders
            _log.info("%s has changed: %d API keys", self._path, len(holders))

    def _complain(self, text: str) -> None:
        if text != self._said:  # once, not each second
            self._said = text
            _log.error("%s", text)

    def _read(self) -> dict[bytes, Holder]:
        holders = {}
        for key in key_file.read(self._path):
            digest = bytes.fromhex(key.sha256)
            per_second = self._default_rate if key.rate is None else key.rate
            holders[digest[:8]] = Holder(key.name, digest, Rate.of(per_second, key.burst))
        return holders


def _look(path: Path) -> tuple[int, ...] | None:
    """What tells one state of a file from another; None if nothing does, and it is to be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    if time.time() - status.st_ctime < _SETTLED_SECONDS:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
