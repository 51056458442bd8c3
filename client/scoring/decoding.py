"""Decoding in processes of its own, and what runs in them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.scoring.contents import Content, StorageAwayError, UnreadableError
from client.scoring.transport import Again, Failed
from contract.errors import ImageError
from contract.pixels import PixelSpec, decode


@dataclass(frozen=True)
class Decoded:
    """The pixels of those pictures that have some, and what is wrong with the others.

    Attributes:
        places: of the pictures in `pixels`, among all that were given.
        pixels: uint8 [N, H, W, C], or None if there are none.
        wrong: place → why there are no pixels.
    """

    places: list[int]
    pixels: NDArray[np.uint8] | None
    wrong: dict[int, Failed | Again]


class Decoders:
    """A pool of decoding processes; one that dies is replaced. Safe for threads.

    Args:
        processes: how many; with 0 the calling thread decodes, and a picture on which it dies takes
            this process along.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._lock = threading.Lock()
        self._pool = self._new_pool() if processes else None

    def decode(self, contents: Sequence[Content], spec: PixelSpec) -> Decoded:
        """Reads and decodes pictures.

        A picture on which a process dies, by its decoder's fault or for lack of memory, is told
        from the others by halves in processes of their own; alone, it fails if one dies twice.
        """
        pool = self._pool
        if pool is None:
            return decode_all(contents, spec)
        try:
            return pool.submit(decode_all, list(contents), spec).result()
        except BrokenProcessPool:
            self._replace(pool)
            with self._lock:  # one at a time: memory may be short
                return self._apart(contents, spec)

    def close(self) -> None:
        """Waits for what is being decoded, and drops the rest.

        At the process's end Python waits for it anyway, and writes to a pipe that the pool's own
        thread may be about to close: Python's traceback would be the last line of the run.
        """
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _apart(self, contents: Sequence[Content], spec: PixelSpec) -> Decoded:
        for _ in range(2 if len(contents) == 1 else 1):
            with self._new_pool(1) as pool:
                try:
                    return pool.submit(decode_all, list(contents), spec).result()
                except BrokenProcessPool:
                    continue
        if len(contents) == 1:
            return Decoded([], None, {0: Failed("the decoder's process died of it")})
        half = len(contents) // 2
        first, second = (self._apart(part, spec) for part in (contents[:half], contents[half:]))
        return _joined(first, second, half)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if broken is self._pool:
                self._pool = self._new_pool()

    def _new_pool(self, processes: int | None = None) -> ProcessPoolExecutor:
        # Spawned: gRPC's threads do not survive a fork.
        return ProcessPoolExecutor(
            processes or self._processes, multiprocessing.get_context("spawn"), _begin
        )


def _begin() -> None:
    """In each process: Ctrl-C is the parent's, and a parent that is killed takes it along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def decode_all(contents: Sequence[Content], spec: PixelSpec) -> Decoded:
    """Reads and decodes pictures, in this process."""
    places: list[int] = []
    pixels: list[NDArray[np.uint8]] = []
    wrong: dict[int, Failed | Again] = {}
    for place, content in enumerate(contents):
        try:
            pixels.append(decode(content.read(), spec))
            places.append(place)
        except (UnreadableError, ImageError) as error:
            wrong[place] = Failed(str(error))
        except StorageAwayError as error:
            wrong[place] = Again(str(error))
        except MemoryError:
            wrong[place] = Again("not enough memory to decode it")
    return Decoded(places, np.stack(pixels) if pixels else None, wrong)


def _joined(first: Decoded, second: Decoded, start: int) -> Decoded:
    """Puts two parts together again, of which the second begins at the place `start`."""
    pixels = [part.pixels for part in (first, second) if part.pixels is not None]
    return Decoded(
        first.places + [place + start for place in second.places],
        np.concatenate(pixels) if pixels else None,
        first.wrong | {place + start: wrong for place, wrong in second.wrong.items()},
    )
