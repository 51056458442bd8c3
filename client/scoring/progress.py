"""Progress for a person: rate, errors, time left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from tqdm import tqdm

from client.scoring.items import Found
from client.scoring.rows import Shard


class Bar:
    """A progress bar on stderr; silent where that is no terminal. Use it in a `with` block.

    Args:
        count: gives the inputs anew, to count them beside the scoring; None if that takes too
            long, then there is no time left to be told.
        shard: of which the rows are.
    """

    def __init__(self, count: Callable[[], Iterable[Found]] | None, shard: Shard) -> None:
        self._bar = tqdm(unit=" pictures", desc="scoring", disable=None)
        self._shard = shard
        self._closed = threading.Event()
        if count is not None and not self._bar.disable:
            threading.Thread(target=self._count, args=(count,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._bar.close()

    def begin(self, done: int) -> None:
        self._bar.initial = self._bar.n = done

    def advance(self, rows: int, errors: int, in_flight: int) -> None:
        self._bar.set_postfix(errors=errors, in_flight=in_flight, refresh=False)
        self._bar.update(rows)

    def _count(self, count: Callable[[], Iterable[Found]]) -> None:
        rows = 0
        try:
            for index, _ in enumerate(count()):
                rows += self._shard.has(index)
                if self._closed.is_set():
                    return
        except Exception:  # the run itself says what is wrong
            return
        self._bar.total = rows
