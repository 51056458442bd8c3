"""Who makes rows of a run's items: threads of this process; `on_ray` has a cluster do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from client.scoring.contents import InMemory
from client.scoring.items import Item
from client.scoring.patience import Patience
from client.scoring.pipeline import Pipeline
from client.scoring.rows import Parameters, Row
from client.scoring.scorer import Scorer
from client.scoring.throttle import Throttle
from client.scoring.transport import Transport

# Of a batch whose pictures are in memory: many batches wait for their turn at a time.
_BYTES = 16 * 1024 * 1024


class Workers(Protocol):
    """Makes rows.

    Attributes:
        in_flight: requests allowed at this moment.
    """

    @property
    def in_flight(self) -> int: ...

    def rows(
        self, todo: Iterable[Item], version: int | None, patience: Patience
    ) -> Iterator[list[Row]]:
        """Gives the row of each item, in their order, some at a time.

        Args:
            todo: the items; they are taken as there is room for them.
            version: the one to ask for, or None for whatever is newest.
            patience: of the run.

        Raises:
            ScoringError: as its kinds say.
        """
        ...


class Threads:
    """Threads of this process that share a way to the server.

    Args:
        transport: the way.
        parameters: of the run.
        most: requests in flight at most.
    """

    def __init__(self, transport: Transport, parameters: Parameters, most: int) -> None:
        self._transport = transport
        self._parameters = parameters
        self._most = most
        self._throttle = Throttle(most)

    @property
    def in_flight(self) -> int:
        return self._throttle.limit

    def rows(
        self, todo: Iterable[Item], version: int | None, patience: Patience
    ) -> Iterator[list[Row]]:
        scorer = Scorer(self._transport, self._parameters, version, patience, self._throttle)
        pipeline = Pipeline(scorer.rows, self._most, lambda: self._throttle.limit)
        return pipeline.results(batches(todo, self._transport.batch))


def batches(todo: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Gives the items `size` at a time, or fewer that hold many bytes.

    What passes by only once is read at once.
    """
    batch: list[Item] = []
    held = 0
    for item in map(_held, todo):
        batch.append(item)
        if isinstance(item.content, InMemory):
            held += len(item.content.data)
        if len(batch) == size or held >= _BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _held(item: Item) -> Item:
    return Item(item.index, item.name, item.content()) if callable(item.content) else item
