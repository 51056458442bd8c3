"""How often each key may call: token buckets that all worker processes share.

A bucket is one number, the moment at which it will be full again (the generic cell rate
algorithm): each request moves it on by what a token takes to come back. A bucket that is full again
says nothing that an unused one does not, so its place goes to whoever needs one, and memory is
bounded.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.security.key_file import MOST_KEYS

# A bucket: the first eight bytes of its key's hash, and the moment in seconds.
_BUCKET = struct.Struct("=Qd")
# Buckets whose place the hash decides stand together; the key's is one of them.
_WAYS = 8
_ROW = struct.Struct("=" + "Qd" * _WAYS)
# Four times the keys of a file, so that even with all of them hardly a row is short of places.
_ROWS = 4 * MOST_KEYS // _WAYS
_SLOWEST = 1 / 86_400
_ROUNDING_SECONDS = 1e-6


@dataclass(frozen=True)
class Rate:
    """Requests per second, above 0, and how many may come at once."""

    per_second: float
    burst: int

    @classmethod
    def of(cls, per_second: float, burst: int | None = None) -> Rate | None:
        """Returns a rate whose burst, unless given, is what two seconds bring; None for 0.

        Slower than once a day counts as once a day.
        """
        if per_second == 0:
            return None
        per_second = max(per_second, _SLOWEST)
        return cls(per_second, burst or max(1, math.ceil(2 * per_second)))


class Buckets:
    """The buckets of all keys, for the process that makes them and those that it forks.

    The lock is the kernel's, on a part of a file: a process that is killed lets go of it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock  # monotonic is the same in all processes of a machine
        self._memory = mmap.mmap(-1, _ROWS * _ROW.size)
        self._file, name = tempfile.mkstemp(prefix="lince-rates-")
        os.unlink(name)  # noqa: PTH108
        weakref.finalize(self, os.close, self._file)
        self._threads = threading.Lock()  # the kernel's lock is between processes alone

    def take(self, key: bytes, rate: Rate) -> float:
        """Takes a token.

        Args:
            key: the SHA-256 of an API key.

        Returns:
            0, or the seconds until there will be a token; none is taken then.
        """
        identity = int.from_bytes(key[:8], "little") or 1  # 0 is nobody's
        row = identity % _ROWS
        token = 1 / rate.per_second
        with self._locked(row):
            now = self._clock()
            way, stored = self._find(row, identity)
            # A bucket is empty at most: a rate that was lowered meanwhile is no debt.
            full_at = max(now, min(now + rate.burst * token, stored))
            wait = full_at - now - (rate.burst - 1) * token
            if wait <= _ROUNDING_SECONDS:
                wait, full_at = 0.0, full_at + token
            if full_at != stored:
                place = row * _ROW.size + way * _BUCKET.size
                _BUCKET.pack_into(self._memory, place, identity, full_at)
        return wait

    def _find(self, row: int, identity: int) -> tuple[int, float]:
        """The key's place in the row, and when its bucket will be full."""
        values = _ROW.unpack_from(self._memory, row * _ROW.size)
        holders, moments = values[::2], values[1::2]
        if identity in holders:
            way = holders.index(identity)
            return way, moments[way]
        return moments.index(min(moments)), 0.0

    @contextmanager
    def _locked(self, row: int) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, row)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, row)
