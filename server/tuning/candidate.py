"""Batching parameters to try, and the file that they are written to."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

#: The file's name in a version's folder; TensorFlow Serving's.
FILE = "batching_params.pbtxt"

_WAITS = (0, 1000, 5000)
_SIZES = 4
_MOST_ROWS = 256
#: Batches that may wait before calls are refused; TensorFlow Serving's own 10 are few.
_MOST_WAITING = 100


@dataclass(frozen=True, order=True)
class Candidate:
    """Batching parameters; in their order, what costs a caller less comes first.

    Attributes:
        wait_micros: microseconds that a batch waits for more rows.
        rows: most rows of a batch.
        threads: batches that run at the same time.
    """

    wait_micros: int
    rows: int
    threads: int

    def __str__(self) -> str:
        wait = f"wait {self.wait_micros / 1000:g} ms" if self.wait_micros else "no wait"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.rows} rows, {wait}, {threads}"

    def text(self, largest_call: int) -> str:
        """Returns the file: BatchingParameters as text.

        Args:
            largest_call: rows of a call that has to be taken; one of more rows than a batch has is
                split.
        """
        most = max(largest_call, self.rows)
        waiting = max(_MOST_WAITING, 4 * math.ceil(most / self.rows))
        return (
            f"max_batch_size {{ value: {most} }}\n"
            "enable_large_batch_splitting { value: true }\n"
            f"max_execution_batch_size {{ value: {self.rows} }}\n"
            f"batch_timeout_micros {{ value: {self.wait_micros} }}\n"
            f"max_enqueued_batches {{ value: {waiting} }}\n"
            f"num_batch_threads {{ value: {self.threads} }}\n"
        )


def grid(callers: int) -> list[Candidate]:
    """Returns the candidates to begin with: sizes that so many callers can fill, and waits."""
    sizes = [2**power for power in range(1, 9) if 2**power <= min(callers, _MOST_ROWS)]
    return [Candidate(wait, rows, _cores()) for rows in sizes[-_SIZES:] for wait in _WAITS]


def with_other_threads(candidate: Candidate) -> Sequence[Candidate]:
    """Returns the same with half and twice as many threads."""
    counts = {max(1, candidate.threads // 2), 2 * candidate.threads} - {candidate.threads}
    return [replace(candidate, threads=count) for count in sorted(counts)]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
