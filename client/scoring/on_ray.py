"""Scoring on a Ray cluster: its nodes read, decode and ask; this process keeps the rows.

It is the same run as everywhere: the same code on the nodes, the same journal here, so it goes on
where it was stopped, and the output is the same to the byte. The extra `ray` brings Ray.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa
import ray

from client.scoring import run
from client.scoring.contents import LocalFile
from client.scoring.errors import ScoringError
from client.scoring.items import Item
from client.scoring.patience import Patience, Waits
from client.scoring.rows import Parameters, Row, Summary
from client.scoring.run import Job, Progress
from client.scoring.transport import Transport
from client.scoring.workers import Threads, batches

#: Makes a way to the server, on each node; it is pickled.
MakeTransport = Callable[[], Transport]

# Items that an actor is given at a time.
_BLOCK = 128
# What is handed to the cluster at a time, in blocks and bytes: one hand waits for the other, but
# the store does not grow with the number of inputs.
_BLOCKS, _BYTES = 512, 1024**3
# Requests of an actor: while one is answered, the next pictures are decoded.
_IN_FLIGHT = 2
_ROWS = msgspec.json.Decoder(list[Row])


def score(
    job: Job,
    transport: MakeTransport,
    *,
    actors: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Scores every input on the cluster that Ray is connected to, else that of RAY_ADDRESS, else
    one of this machine's processes.

    Inputs of this machine's folders must be at the same paths on all nodes.

    Args:
        job: what to do; its `concurrency` is not used.
        transport: makes a way to the server; it is called on each node, and here.
        actors: how many processes at most that read, decode and ask, a core each; all cores of the
            cluster unless given.
        progress: is told how it goes.

    Raises:
        ScoringError: as its kinds say; the same call continues.
        OSError: the output can't be written.
    """
    here = transport()
    try:
        return run.score(job, here, progress, _Cluster(job, transport, actors))
    finally:
        here.close()


class _Cluster:
    """Actors of Ray Data, each with a way to the server of its own."""

    def __init__(self, job: Job, transport: MakeTransport, actors: int | None) -> None:
        self._job = job
        self._transport = transport
        self._actors = actors
        self.in_flight = 0

    def rows(
        self, todo: Iterable[Item], version: int | None, patience: Patience
    ) -> Iterator[list[Row]]:
        source = iter(todo)
        while blocks := _blocks(source):
            for answer in self._answers(blocks, version):
                patience.check()
                yield _rows_of(answer)

    def _answers(self, blocks: list[Any], version: int | None) -> Iterator[dict[str, Any]]:
        most = self._actors or int(ray.cluster_resources().get("CPU", 1))
        self.in_flight = most * _IN_FLIGHT
        context = ray.data.DataContext.get_current().copy()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False  # the run has its own
        with ray.data.DataContext.current(context):
            answers = ray.data.from_arrow_refs(blocks).map_batches(
                _Actor,
                fn_constructor_args=(
                    self._job.parameters,
                    self._job.waits,
                    self._transport,
                    version,
                ),
                batch_size=None,  # a block
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            )
        yield from answers.iter_rows()


class _Actor:
    """Makes rows on a node."""

    def __init__(
        self, parameters: Parameters, waits: Waits, transport: MakeTransport, version: int | None
    ) -> None:
        self._threads = Threads(transport(), parameters, _IN_FLIGHT)
        self._version = version
        self._patience = Patience(waits)
        self._patience.progress()  # the address was a good one

    def __call__(self, block: pa.Table) -> pa.Table:
        items = [pickle.loads(one.as_py()) for one in block["item"]]  # noqa: S301 ours
        stopped = None
        rows: list[Row] = []
        try:
            for some in self._threads.rows(items, self._version, self._patience):
                rows += some
        except ScoringError as error:  # Ray would try again, or tell it as one of its own
            stopped = pickle.dumps(error)
        return pa.table({"rows": [msgspec.json.encode(rows)], "stopped": [stopped]})


def _blocks(todo: Iterator[Item]) -> list[Any]:
    """Puts the next items into the cluster's store; returns references to tables of them."""
    blocks: list[Any] = []
    size = 0
    for items in islice(batches(todo, _BLOCK), _BLOCKS):
        pickled = [pickle.dumps(_for_nodes(item)) for item in items]
        blocks.append(ray.put(pa.table({"item": pa.array(pickled, pa.large_binary())})))
        size += sum(map(len, pickled))
        if size >= _BYTES:
            break
    return blocks


def _for_nodes(item: Item) -> Item:
    """A process of the cluster has another working folder."""
    content = item.content
    if not isinstance(content, LocalFile):
        return item
    return replace(item, content=replace(content, path=os.path.abspath(content.path)))  # noqa: PTH100 maybe no unicode


def _rows_of(answer: dict[str, Any]) -> list[Row]:
    if answer["stopped"] is not None:
        raise pickle.loads(answer["stopped"])  # noqa: S301 ours
    return _ROWS.decode(answer["rows"])
