"""Cuts a classifier in two at the last feature map of its convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from export.head import Head, origin

_Function = Callable[[Any], Any]
_CONVOLUTIONS = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
)
#: What makes a feature map coarser, or nothing of it outside of a fit: the map below says more.
_PASSED_OVER = (
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.GlobalAveragePooling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
)


@dataclass(frozen=True)
class Cut:
    """A classifier in two parts, which share its weights.

    Attributes:
        layer: name of the one that makes the feature map.
        below: images uint8 [N, H, W, C] → feature map [N, h, w, k].
        above: feature map → logits [N, K] as the head makes them, whose softmax are the
            probabilities.
    """

    layer: str
    below: _Function
    above: _Function


def cut(model: keras.Model, head: Head | None) -> Cut | None:
    """Cuts a model whose output are probabilities [N, K].

    The feature map is the last tensor with height and width on the way to the answer, but for the
    pools and dropouts above it: the output of the last convolution with its normalisation and
    activation, or what several branches of convolutions are joined to. It may be inside of a
    nested model.

    Args:
        model: the classifier.
        head: its last layers.

    Returns:
        None where there is no head or no convolution, or the layers between the two are no single
        chain.
    """
    if head is None or not any(isinstance(layer, _CONVOLUTIONS) for layer in _layers(model)):
        return None
    way = _way(head.features)
    if way is None:
        return None
    below, above = _parts(model.inputs[0], way, head.features)
    layer, _ = origin(way[-1])
    return Cut(layer=layer.name, below=_chain(below), above=_chain([*above, head.logits]))


def _layers(model: keras.Model) -> list[layers.Layer]:
    """All layers, those of nested models too."""
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [*model.layers, *(layer for each in nested for layer in _layers(each))]


def _way(tensor: Any) -> list[Any] | None:
    """Goes back from a tensor to the feature map.

    Returns:
        the outputs of the nested models that it lies in, the outermost first, and the map itself;
        None where the layers are no chain.
    """
    while True:
        operation, inputs = origin(tensor)
        if isinstance(operation, keras.Model):
            inside = _way(operation.outputs[0])
            if inside is not None:
                return [tensor, *inside]
        elif len(tensor.shape) == 4 and not isinstance(operation, _PASSED_OVER):
            return None if isinstance(operation, layers.InputLayer) else [tensor]
        if len(inputs) != 1:
            return None
        tensor = inputs[0]


def _parts(first: Any, way: list[Any], last: Any) -> tuple[list[_Function], list[_Function]]:
    """Returns the parts of a model, from its input to its last tensor, below and above the map."""
    tensor, *inside = way
    if not inside:
        return _between(first, tensor), _between(tensor, last)
    nested, inputs = origin(tensor)
    below, above = _parts(nested.inputs[0], inside, nested.outputs[0])
    return [*_between(first, inputs[0]), *below], [*above, *_between(tensor, last)]


def _between(first: Any, last: Any) -> list[_Function]:
    return [] if first is last else [keras.Model(first, last)]


def _chain(functions: list[_Function]) -> _Function:
    def call(tensor: Any) -> Any:
        for function in functions:
            if isinstance(function, keras.Model):
                tensor = function(tensor, training=False)
            else:
                tensor = function(tensor)
        return tensor

    return call
