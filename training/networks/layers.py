"""The layers of the recipes, between the pixels (or a backbone's features) and the last layer.

All convolutions are 3×3 with stride 1 and relu, and all pools are max 2×2, unless a line says
otherwise. The division by 255, which the documents do outside, is `rescaling`: the exported
artifact must carry it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from keras import layers

from training.errors import RecipeError

Layers = list[layers.Layer]


def make(architecture: str) -> Layers:
    """Returns new, unbuilt layers.

    Raises:
        RecipeError: there is no architecture of that name.
    """
    if architecture not in _ARCHITECTURES:
        raise RecipeError(f"no architecture {architecture!r}")
    made = _ARCHITECTURES[architecture]()
    _number(made)
    return made


def _number(made: Layers) -> None:
    """Names layers as the documents' summaries do: conv2d, conv2d_1, …

    Keras itself counts on from one model of a process to the next.
    """
    counts: Counter[str] = Counter()
    for layer in made:
        kind = re.sub(r"_\d+$", "", layer.name)
        layer.name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1


def rescaling() -> layers.Layer:
    """Brings pixels from 0..255 to 0..1."""
    return layers.Rescaling(1 / 255, name="rescaling")


def _conv(
    filters: int, size: int = 3, *, stride: int = 1, same: bool = False, relu: bool = True
) -> layers.Layer:
    padding, activation = "same" if same else "valid", "relu" if relu else None
    return layers.Conv2D(filters, size, stride, padding=padding, activation=activation)


def _dense(*units: int) -> Layers:
    return [layers.Dense(number, activation="relu") for number in units]


def _mlp_10_sigmoid() -> Layers:
    """Document E 5.3."""
    return [layers.Flatten(), layers.Dense(10, activation="sigmoid")]


def _mlp_128_relu() -> Layers:
    """Document A 2."""
    return [layers.Flatten(), *_dense(128)]


def _mlp_512_relu() -> Layers:
    """Document A 3."""
    return [layers.Flatten(), *_dense(512)]


def _single_neuron() -> Layers:
    """Document A 1.1."""
    return [layers.Dense(1, name="y")]


def _fashion_cnn() -> Layers:
    """Document A 4.2."""
    blocks = [_conv(64), layers.MaxPooling2D(), _conv(64), layers.MaxPooling2D()]
    return [*blocks, layers.Flatten(), *_dense(128)]


def _fashion_cnn_regularized() -> Layers:
    """Document E 8.5, whose layers are ours: fashion-cnn with its convolutions in pairs."""

    def normalized(layer: layers.Layer) -> Layers:
        return [layer, layers.BatchNormalization(), layers.ReLU()]

    blocks: Layers = []
    for filters in (32, 64):
        for _ in range(2):
            blocks += normalized(layers.Conv2D(filters, 3))
        blocks += [layers.MaxPooling2D(), layers.Dropout(0.2)]
    return [*blocks, layers.Flatten(), *normalized(layers.Dense(128)), layers.Dropout(0.3)]


def _mnist_cnn() -> Layers:
    """Document E 8.3."""
    blocks = [_conv(32, 5), layers.MaxPooling2D(), _conv(64, 5), layers.MaxPooling2D()]
    return [*blocks, layers.Flatten()]


def _three_blocks_512() -> Layers:
    """Documents A 5.1, B 1-2 and B 4."""
    blocks: Layers = []
    for filters in (16, 32, 64):
        blocks += [_conv(filters), layers.MaxPooling2D()]
    return [*blocks, layers.Flatten(), *_dense(512)]


def _tema3_cnn() -> Layers:
    """Document C, exercise 5: the last block has no pool."""
    blocks: Layers = []
    for filters in (16, 32):
        blocks += [_conv(filters, same=True), layers.MaxPooling2D()]
    return [*blocks, _conv(64, same=True), layers.Flatten(), *_dense(32)]


def _flowers_blocks() -> Layers:
    blocks: Layers = []
    for filters in (16, 32, 64):
        blocks += [_conv(filters, same=True), layers.MaxPooling2D()]
    return blocks


def _flowers_cnn() -> Layers:
    """Document D."""
    return [*_flowers_blocks(), layers.Flatten(), *_dense(128)]


def _flowers_cnn_dropout() -> Layers:
    """Document D, its second network."""
    return [*_flowers_blocks(), layers.Dropout(0.2), layers.Flatten(), *_dense(128)]


def _tema3_conv() -> Layers:
    """Document C, exercise 1."""
    return [_conv(16, 5, same=True, relu=False)]


def _tema3_block() -> Layers:
    """Document C, exercise 2."""
    return [_conv(16, same=True), _conv(32, 5, stride=2), layers.MaxPooling2D()]


def _tema3_flatten() -> Layers:
    """Document C, exercise 3."""
    return [*_tema3_block(), layers.Flatten(), *_dense(16, 32)]


def _tema3_gap() -> Layers:
    """Document C, exercise 4."""
    return [*_tema3_block(), layers.GlobalAveragePooling2D(), *_dense(16, 32)]


def _gap_demo() -> Layers:
    """Document C: a picture of any size needs no more weights than a small one."""
    conv = _conv(8, stride=2, same=True)
    return [conv, layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), *_dense(32)]


def _flatten_1024() -> Layers:
    """Document B 3."""
    return [layers.Flatten(), *_dense(1024)]


def _flatten_1024_dropout() -> Layers:
    """Document B 3.2."""
    return [*_flatten_1024(), layers.Dropout(0.2)]


def _flatten_256() -> Layers:
    """Document E 11.2."""
    return [layers.Flatten(), *_dense(256)]


def _gap() -> Layers:
    """Document E 12.3."""
    return [layers.GlobalAveragePooling2D()]


def _gap_dropout() -> Layers:
    """Our own."""
    return [layers.GlobalAveragePooling2D(), layers.Dropout(0.2)]


_ARCHITECTURES: dict[str, Callable[[], Layers]] = {
    "flatten_1024": _flatten_1024,
    "flatten_1024_dropout": _flatten_1024_dropout,
    "flatten_256": _flatten_256,
    "fashion_cnn": _fashion_cnn,
    "fashion_cnn_regularized": _fashion_cnn_regularized,
    "flowers_cnn": _flowers_cnn,
    "flowers_cnn_dropout": _flowers_cnn_dropout,
    "gap": _gap,
    "gap_demo": _gap_demo,
    "gap_dropout": _gap_dropout,
    "mlp_10_sigmoid": _mlp_10_sigmoid,
    "mlp_128_relu": _mlp_128_relu,
    "mlp_512_relu": _mlp_512_relu,
    "mnist_cnn": _mnist_cnn,
    "single_neuron": _single_neuron,
    "tema3_block": _tema3_block,
    "tema3_cnn": _tema3_cnn,
    "tema3_conv": _tema3_conv,
    "tema3_flatten": _tema3_flatten,
    "tema3_gap": _tema3_gap,
    "three_blocks_512": _three_blocks_512,
}
