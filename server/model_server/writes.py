"""What of a graph changes anything that lasts from run to run: a variable, a table."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WRITING = re.compile(
    r"^Assign|StridedSliceAssign$|^(Resource)?Scatter(Nd)?(Update|Add|Sub|Mul|Div|Min|Max)$"
    r"|Apply[A-Z]|^CountUpTo|^ResourceCountUpTo|Table(Insert|Import|Remove|Clear)"
    r"|Enqueue|Dequeue|^Stage$|^Unstage$|^WriteFile$|^Save"
)


def writing(graph_def: Any, outputs: Iterable[str]) -> frozenset[str]:
    """Those of a graph's tensors whose computation changes variables, tables, queues or files."""
    functions = _writing_functions(graph_def.library)
    nodes = {node.name: node for node in graph_def.node}

    def changes(output: str) -> bool:
        return any(
            _WRITING.search(node.op) or not functions.isdisjoint(_called(node))
            for node in _needed(nodes, output)
        )

    return frozenset(output for output in outputs if changes(output))


def _writing_functions(library: Any) -> set[str]:
    """Names of the functions that write, or that call one that does; all of a function counts:
    which of its nodes run doesn't show in its outputs alone.
    """
    calls = {
        f.signature.name: {c for n in f.node_def for c in _called(n)} for f in library.function
    }
    found = {
        f.signature.name
        for f in library.function
        if any(_WRITING.search(node.op) for node in f.node_def)
    }
    more = found
    while more:
        more = {name for name, called in calls.items() if called & more} - found
        found |= more
    return found


def _needed(nodes: Mapping[str, Any], output: str) -> list[Any]:
    """The nodes of the graph itself that a tensor is computed from."""
    waiting = [_operation(output)]
    found: dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting.extend(map(_operation, nodes[name].input))
    return list(found.values())


def _operation(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _called(node: Any) -> list[str]:
    """Names of the functions that a node may call: a node's operation can be one itself."""
    values = node.attr.values()
    return [node.op, *(f.name for value in values for f in (value.func, *value.list.func))]
