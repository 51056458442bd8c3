"""Batching: requests that arrive together share a run, and none can tell.

TensorFlow's own batching op does the work (see batch_graph); here is which requests may meet, and
what a request hears when something goes wrong. A request only ever shares a run with requests whose
rows have the same shape, and if a shared run fails, each runs again alone, so that nobody gets the
error, or the cancellation, of another.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from server.model_server.batch_graph import BatchedOp, NotBatchableError, add_batched_ops
from server.model_server.batch_parameters import BatchParameters
from server.model_server.errors import ServingError, failed_precondition, invalid_argument

log = logging.getLogger(__name__)

Run = Callable[[Mapping[str, np.ndarray], Sequence[str], float | None], list[Any]]
"""Runs a graph once: feeds, fetches and seconds → values; see `Servable.run`."""

Queued = Callable[[float, float], None]
"""Told of a request that ran in a batch: the seconds it waited, and when the batch began."""


def say_nothing(waited: float, began: float) -> None:
    """The `Queued` for nobody."""


Key = tuple[frozenset[str], frozenset[str]]
"""The input and output tensors of a signature: those with the same share a queue."""

_SHAPES = 4
"""Queues of a signature that leaves the shape of its rows open: one for each of the first shapes
that arrive. A further shape runs unbatched, so that nobody can fill the memory with queues."""

_GRACE_SECONDS = 30.0
"""How much longer than its deadline a request's run in a batch may take. Ending it in time would
cancel the batch for all; never ending it would leave a thread to a graph that hangs."""

_NODE = re.compile(r"(\s*\[\[\{\{node [^}]*\}\}\]\])+\s*$")


def queues(
    graph: Any,
    signatures: Mapping[str, Any],
    parameters: BatchParameters,
    queued: Queued,
    changing: Collection[str] = (),
) -> "dict[Key, Queue]":
    """Add a queue to the graph for every signature of a model.

    Args:
        graph: The model's, in no session's use yet.
        signatures: Its SignatureDefs.
        parameters: How to make batches; must have passed `batch_parameters.check`.
        queued: Told of each request that ran in a batch.
        changing: Tensors whose computation changes variables, which it must for each request.
    """
    made: dict[Key, Queue] = {}
    for name, signature in signatures.items():
        inputs = {info.name: info.tensor_shape for info in signature.inputs.values()}
        outputs = {info.name: info.tensor_shape for info in signature.outputs.values()}
        key = (frozenset(inputs), frozenset(outputs))
        if inputs and outputs:
            if key not in made:
                name_of_op = f"lince_batch_{len(made)}"
                rows = {tensor: _row_shape(shape) for tensor, shape in sorted(inputs.items())}
                ops: list[BatchedOp] = []
                fixed = {tensor for tensor, shape in outputs.items() if not _has_rows(shape)}
                if not fixed.union(changing).intersection(outputs):
                    ops = _ops(graph, name_of_op, rows, outputs, parameters)
                made[key] = Queue(ops, rows, parameters, queued)
        else:
            log.info("signature %s is not batched", name)
    return made


def _ops(
    graph: Any,
    name: str,
    rows: "Mapping[str, Row]",
    outputs: Collection[str],
    parameters: BatchParameters,
) -> list[BatchedOp]:
    count = 1 if all(row is not None and None not in row for row in rows.values()) else _SHAPES
    try:
        return add_batched_ops(graph, list(rows), sorted(outputs), parameters, name, count)
    except NotBatchableError as error:
        log.info("%s is not batched: %s", ", ".join(sorted(outputs)), error)
        return []


Row = tuple[int | None, ...] | None
"""A row's declared dimensions, None where one is open; None if nothing is declared."""


def _row_shape(shape: Any) -> Row:
    if shape.unknown_rank or not shape.dim:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim[1:])


def _has_rows(shape: Any) -> bool:
    """Whether the first dimension is known to be open: a fixed one can't follow the batch's."""
    return not shape.unknown_rank and bool(shape.dim) and shape.dim[0].size < 0


class Queue:
    """Where the requests of a signature meet.

    Args:
        ops: The batching ops, one for each shape of rows that can be told apart; none if what the
            signature computes can't be batched.
        rows: For each input tensor its row's declared shape.
        parameters: How batches are made.
        queued: Told of each request that ran in a batch.
    """

    def __init__(
        self,
        ops: Sequence[BatchedOp],
        rows: Mapping[str, Row],
        parameters: BatchParameters,
        queued: Queued,
    ) -> None:
        self._queued = queued
        self._free = list(ops)
        self._rows = rows
        self._parameters = parameters
        self._ops: dict[tuple[tuple[int, ...], ...], BatchedOp] = {}
        self._adding = threading.Lock()

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
        run: Run,
    ) -> list[Any]:
        """Run a request together with others, or alone where it must be; see `Servable.run`.

        Args:
            feeds: Arrays by tensor name, one for each input of the signature.
            fetches: Its outputs' tensor names.
            timeout_seconds: What is left to the caller; None for ever.
            run: Runs the graph.

        Raises:
            ServingError: INVALID_ARGUMENT: the rows don't fit. FAILED_PRECONDITION: an output has
                not a row for each. UNAVAILABLE: too many batches wait. RESOURCE_EXHAUSTED: it has
                waited for too long. Else what the graph's run gives for this request alone.
        """
        count = self._check(feeds)
        began = time.time()
        op = self._op_for(feeds) if count else None
        if op is not None:
            try:
                return self._run_together(op, feeds, fetches, timeout_seconds, run)
            except ServingError as error:
                if _is_own(error):
                    raise
        left = None if timeout_seconds is None else timeout_seconds - (time.time() - began)
        if left is not None and left <= 0:
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        values = run(feeds, fetches, left)
        _check_outputs(values, count)
        return values

    def _run_together(
        self,
        op: BatchedOp,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
        run: Run,
    ) -> list[Any]:
        enqueued = time.time()
        inputs = {op.feeds[name]: array for name, array in feeds.items()}
        outputs = [op.fetches[name] for name in fetches]
        most = None if timeout_seconds is None else timeout_seconds + _GRACE_SECONDS
        try:
            *values, started = run(inputs, [*outputs, op.started], most)
        except ServingError as error:
            raise ServingError(error.code, _NODE.sub("", error.text)) from error
        waited = max(0.0, float(started[0]) - enqueued)
        self._queued(waited, float(started[0]))
        if timeout_seconds is not None and waited > timeout_seconds:
            raise ServingError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Run() timeout exceeded while waiting in batching queue",
            )
        if timeout_seconds is not None and time.time() - enqueued > timeout_seconds:
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        return values

    def _check(self, feeds: Mapping[str, np.ndarray]) -> int:
        """The number of rows."""
        arrays = list(feeds.values())
        if any(array.ndim < 1 for array in arrays):
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        count = len(arrays[0])
        if any(len(array) != count for array in arrays):
            raise invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        most = self._parameters.max_batch_size
        if count > most:
            raise invalid_argument(
                f"Task size {count} is larger than maximum input batch size {most}"
            )
        return count

    def _op_for(self, feeds: Mapping[str, np.ndarray]) -> BatchedOp | None:
        shapes = {name: feeds[name].shape[1:] for name in self._rows}
        if not all(_fits(shapes[name], declared) for name, declared in self._rows.items()):
            return None
        key = tuple(shapes.values())
        op = self._ops.get(key)
        if op is None:
            with self._adding:
                op = self._ops.get(key)
                if op is None and self._free:
                    op = self._ops[key] = self._free.pop()
        return op


def _fits(shape: tuple[int, ...], declared: Row) -> bool:
    if declared is None:
        return True
    return len(shape) == len(declared) and all(
        want in (None, have) for have, want in zip(shape, declared, strict=True)
    )


def _is_own(error: ServingError) -> bool:
    """Whether an error of a shared run is what the request would have heard without company."""
    return (
        error.code is grpc.StatusCode.UNAVAILABLE
        or "timeout exceeded while waiting" in error.text
        or error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        or error.text.startswith("Batched output tensor")
    )


def _check_outputs(values: Sequence[Any], count: int) -> None:
    for value in values:
        if np.ndim(value) == 0:
            raise failed_precondition("Batched output tensor has 0 dimensions")
        if len(value) != count:
            raise failed_precondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors"
            )
