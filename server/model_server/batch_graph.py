"""Surgery on a loaded graph: what a signature computes becomes the body of a batching op.

TensorFlow's BatchFunction gathers the rows of runs that arrive together, runs a function once on
all of them and gives each run its rows back. The function is cut out of the graph: everything
between the signature's outputs and its inputs. Variables, tables and large constants stay where
they are, and the function is handed them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2
from tensorflow.python.framework.graph_to_function_def import graph_to_function_def

from server.model_server.batch_parameters import BatchParameters

_LARGE_CONSTANT_BYTES = 4096
"""Smaller constants (shapes, axes) go into the function, where the optimiser can use them; larger
ones would take their memory twice."""


class NotBatchableError(Exception):
    """The signature can't be computed for several requests at once; the text says why."""


@dataclass(frozen=True)
class BatchedOp:
    """A batching op in the graph.

    Attributes:
        feeds: For the name of each input tensor the tensor to feed instead.
        fetches: For the name of each output tensor the tensor to fetch instead.
        started: A further tensor to fetch, float64 [rows]: when the batch began to run, in seconds
            since 1970.
    """

    feeds: dict[str, str]
    fetches: dict[str, str]
    started: str


def add_batched_ops(
    graph: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    parameters: BatchParameters,
    name: str,
    count: int,
) -> list[BatchedOp]:
    """Add ops to a graph that compute `outputs` from `inputs` in batches.

    Args:
        graph: The graph, in no session's use yet.
        inputs: Names of tensors with a row for each example.
        outputs: Names of tensors with the same.
        parameters: How to make batches.
        name: What to call the ops; unique in the graph.
        count: How many ops, each with a queue of its own.

    Raises:
        NotBatchableError: The graph between them doesn't make a function.
    """
    with graph.as_default(), tf.name_scope(name):
        sources = [_tensor(graph, name) for name in inputs]
        targets = [_tensor(graph, name) for name in outputs]
        rows = tf.shape(sources[0])[:1]
        targets.append(tf.fill(rows, tf.timestamp()))
        captured = _define(graph, sources, targets, name)
        ops = []
        for number in range(count):
            fed, fetched = _add_op(sources, targets, captured, parameters, f"{name}_{number}", name)
            *values, started = fetched
            feeds = dict(zip(inputs, fed, strict=True))
            ops.append(BatchedOp(feeds, dict(zip(outputs, values, strict=True)), started))
        return ops


def _tensor(graph: Any, name: str) -> Any:
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        raise NotBatchableError(str(error)) from error


def _add_op(
    sources: Sequence[Any],
    targets: Sequence[Any],
    captured: Sequence[Any],
    parameters: BatchParameters,
    shared_name: str,
    function: str,
) -> tuple[list[str], list[str]]:
    placeholders = [tf.compat.v1.placeholder(t.dtype, name="batched") for t in sources]
    results = tf.raw_ops.BatchFunction(
        in_tensors=placeholders,
        captured_tensors=captured,
        f=attr_value_pb2.NameAttrList(name=function),
        Tout=[target.dtype for target in targets],
        num_batch_threads=parameters.num_batch_threads,
        max_batch_size=parameters.max_batch_size,
        batch_timeout_micros=parameters.batch_timeout_micros,
        max_enqueued_batches=parameters.max_enqueued_batches,
        allowed_batch_sizes=_execution_sizes(parameters),
        enable_large_batch_splitting=parameters.large_batch_splitting,
        shared_name=shared_name,
    )
    return [p.name for p in placeholders], [r.name for r in results]


def _execution_sizes(parameters: BatchParameters) -> list[int]:
    # With splitting the op takes the last of them for the most rows of a batch.
    if parameters.allowed_batch_sizes or not parameters.large_batch_splitting:
        return list(parameters.allowed_batch_sizes)
    return list(range(1, parameters.most_rows + 1))


def _define(graph: Any, sources: Sequence[Any], targets: Sequence[Any], name: str) -> list[Any]:
    """Add the function to the graph's library; returns what it has to be handed besides."""
    body = _Body(sources)
    for target in targets:
        body.add_tensor(target)
    captured = list(body.captured.values())
    try:
        function = graph_to_function_def(graph, body.operations, [*sources, *captured], targets)
    except (AssertionError, KeyError, ValueError) as error:
        raise NotBatchableError(str(error)[:200]) from error
    function.signature.name = name
    inside = {node.name for node in function.node_def}
    for node in function.node_def:
        kept = [i for i in node.input if not i.startswith("^") or i[1:] in inside]
        node.input[:] = kept
    library = graph_pb2.GraphDef(versions=graph.graph_def_versions)
    library.library.function.append(function)
    try:
        tf.import_graph_def(library, name="")
    except (ValueError, tf.errors.OpError) as error:
        raise NotBatchableError(str(error)[:200]) from error
    # A reference can't be an argument; what it refers to can.
    return [tf.identity(t) if t.dtype._is_ref_dtype else t for t in captured]


class _Body:
    """The operations that compute tensors from others, and the tensors they need from outside."""

    def __init__(self, sources: Sequence[Any]) -> None:
        self._sources = {source.name for source in sources}
        self._seen: set[str] = set()
        self.operations: list[Any] = []
        self.captured: dict[str, Any] = {}

    def add_tensor(self, tensor: Any) -> None:
        waiting = [tensor]
        while waiting:
            found = waiting.pop()
            if found.name in self._sources or found.name in self.captured:
                continue
            if _stays_outside(found):
                self.captured[found.name] = found
                continue
            self._add_operation(found.op, waiting)

    def _add_operation(self, first: Any, waiting: list[Any]) -> None:
        operations = [first]
        while operations:
            operation = operations.pop()
            if operation.name in self._seen:
                continue
            if operation.type == "Placeholder":
                raise NotBatchableError(f"{operation.name} must be fed")
            self._seen.add(operation.name)
            self.operations.append(operation)
            waiting.extend(operation.inputs)
            operations.extend(c for c in operation.control_inputs if not _is_store(c))


def _is_store(operation: Any) -> bool:
    """Whether the operation makes something that lasts from run to run: a variable, a table.

    The arrays and stacks of a loop are resources too, but have inputs.
    """
    kept = (t.dtype == tf.resource or t.dtype._is_ref_dtype for t in operation.outputs)
    return not operation.inputs and any(kept)


def _stays_outside(tensor: Any) -> bool:
    if tensor.op.type == "Const":
        return (tensor.shape.num_elements() or 0) * (tensor.dtype.size or 8) > _LARGE_CONSTANT_BYTES
    return _is_store(tensor.op)
