"""A model's layers with output shapes and parameters, as the documents print them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class LayerRow:
    """A line of a summary.

    Attributes:
        name: of the layer.
        kind: Keras's class of it.
        shape: of its output; None is any size.
        parameters: number of its weights.
        frozen: whether it has weights and none of them is trained.
        depth: 0, or 1 for a layer of a backbone.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    frozen: bool
    depth: int


def rows(model: keras.Model, *, expand: bool = False) -> Iterator[LayerRow]:
    """Yields a row per layer; a backbone is one, with `expand` its layers follow.

    Args:
        model: built.
        expand: list a backbone's layers too.
    """
    for layer in model.layers:
        yield _row(layer, 0)
        if expand and isinstance(layer, keras.Model):
            for inner in layer.layers:
                yield _row(inner, 1)


def table(model: keras.Model, *, expand: bool = False) -> Iterator[str]:
    """Yields the summary's lines: heads, a line per layer, the totals."""
    line = "{:32} {:24} {:22} {:>12}"
    yield line.format("layer", "type", "output shape", "parameters")
    for row in rows(model, expand=expand):
        name = "  " * row.depth + row.name
        count = f"{row.parameters:,}" + (" frozen" if row.frozen else "")
        yield line.format(name, row.kind, str(row.shape), count).rstrip()
    total = model.count_params()
    trained = sum(_size(weight) for weight in model.trainable_weights)
    yield f"parameters: {total:,}, of which {trained:,} are trained and {total - trained:,} are not"


def _row(layer: keras.layers.Layer, depth: int) -> LayerRow:
    shape = layer.output.shape
    return LayerRow(
        name=layer.name,
        kind="Backbone" if isinstance(layer, keras.Model) else type(layer).__name__,
        shape=tuple(shape),
        parameters=layer.count_params(),
        frozen=bool(layer.weights) and not layer.trainable_weights,
        depth=depth,
    )


def _size(weight: keras.Variable) -> int:
    size = 1
    for side in weight.shape:
        size *= side
    return size
