"""What the convolution and pooling layers of a model make of one image."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from PIL import Image

from training.pictures import canvas
from training.pictures.theme import Theme

MOST_CHANNELS, MOST_LAYERS = 16, 24
_KINDS = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
)
_FEW_LAYERS = 8
_SMALLEST, _LARGEST = 48, 192
_HEAD, _GAP, _PICTURE = 0.26, 0.1, 1.5


@dataclass(frozen=True, eq=False)
class Strip:
    """The output of a layer for one image.

    Attributes:
        name: of the layer.
        pixels: uint8 [h, w·shown]: the first channels, side by side.
        shown: so many of the channels are in the pixels.
        channels: so many the layer has.
    """

    name: str
    pixels: NDArray[np.uint8]
    shown: int
    channels: int


def layers_with_maps(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the convolution and pooling layers of a model, and of the models within it."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += layers_with_maps(layer)
        elif isinstance(layer, _KINDS):
            found.append(layer)
    return found


def strips(model: keras.Model, image: NDArray[np.uint8]) -> list[Strip]:
    """Computes a strip for each convolution and pooling layer, at most 24, evenly chosen.

    Args:
        model: built; it takes a batch of such images.
        image: uint8 [H, W, C].

    Returns:
        In the order of the layers.
    """
    found = layers_with_maps(model)
    chosen = np.linspace(0, len(found) - 1, min(len(found), MOST_LAYERS), dtype=int)
    watched = [found[number] for number in chosen]
    with _recorded(watched) as outputs:
        model(keras.ops.convert_to_tensor(image[np.newaxis]), training=False)
    return [
        _strip(layer.name, outputs[number])
        for number, layer in enumerate(watched)
        if number in outputs
    ]


def normalised(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Brings each channel to (x − mean)/std·64 + 128, clipped to 0..255; 128 where std is 0.

    Args:
        maps: float32 [h, w, k].

    Returns:
        uint8 [h, w, k].
    """
    maps = np.nan_to_num(maps.astype(np.float64))
    mean, deviation = maps.mean(axis=(0, 1)), maps.std(axis=(0, 1))
    # Rounding leaves a constant channel with a deviation that is not quite 0.
    constant = np.ptp(maps, axis=(0, 1)) == 0
    scaled = (maps - mean) / np.where(constant, 1, deviation) * 64 + 128
    return np.clip(np.where(constant, 128, scaled), 0, 255).astype(np.uint8)


def caption(model: keras.Model) -> str:
    """Says in words what `feature_maps` shows of a model."""
    count = len(layers_with_maps(model))
    kinds = "convolution and pooling"
    which = f"every {kinds} layer makes"
    if count > MOST_LAYERS:
        which = f"{MOST_LAYERS} of the {count} {kinds} layers make"
    return (
        f"What {which} of one picture, for the first {MOST_CHANNELS} channels at most:"
        " dark is below the channel's mean, bright above it."
    )


def feature_maps(shown: Sequence[Strip], image: NDArray[np.uint8], theme: Theme) -> bytes:
    """Draws the image, and below it the strips.

    Args:
        shown: what `strips` has computed of the image.
        image: uint8 [H, W, 1 or 3].

    Returns:
        A PNG.
    """
    most = MOST_CHANNELS // 2 if len(shown) <= _FEW_LAYERS else MOST_CHANNELS
    tiles = [_wrapped(strip, most) for strip in shown]
    heights = [canvas.WIDTH * tile.shape[0] / tile.shape[1] for tile in tiles]
    tops = np.cumsum([0.1 + _PICTURE + _GAP, *(_HEAD + height + _GAP for height in heights)])
    drawn = canvas.figure(theme, float(tops[-1]), dpi=canvas.PHOTO_DPI, free=True)
    picture = canvas.place(drawn, 0.0, 0.08, _PICTURE, _PICTURE)
    canvas.show(picture, canvas.thumbnail(image, 256), theme)
    side = f"{image.shape[0]}×{image.shape[1]}×{image.shape[2]}"
    canvas.write(drawn, _PICTURE + 0.12, 0.1, "the picture", color=theme.text)
    canvas.write(drawn, _PICTURE + 0.12, 0.32, side, color=theme.muted, size=canvas.SMALL)
    for strip, tile, top, height in zip(shown, tiles, tops, heights, strict=False):
        rows, columns = strip.pixels.shape[0], strip.pixels.shape[1] // strip.shown
        size = f"{rows}×{columns}×{strip.channels}"
        canvas.write(drawn, 0.02, top, canvas.short(strip.name, 36), color=theme.text)
        canvas.write(
            drawn,
            canvas.WIDTH - 0.02,
            top + 0.02,
            size,
            color=theme.muted,
            size=canvas.SMALL,
            align="right",
        )
        axes = canvas.place(drawn, 0, top + _HEAD, canvas.WIDTH, height)
        canvas.show(axes, tile, theme, cmap="viridis", vmin=0, vmax=255, aspect="auto")
    return canvas.png(drawn)


@contextlib.contextmanager
def _recorded(watched: Sequence[keras.layers.Layer]) -> Iterator[dict[int, NDArray[np.float32]]]:
    """Keeps what the layers answer, by their number, while the model runs.

    Keras has no public way to the tensors inside a model in a model, so each layer's `call` is
    covered for a while.
    """
    outputs: dict[int, NDArray[np.float32]] = {}

    def cover(number: int, layer: keras.layers.Layer) -> None:
        call = layer.call

        @functools.wraps(call)
        def listening(*arguments: Any, **options: Any) -> Any:
            answer = call(*arguments, **options)
            outputs[number] = keras.ops.convert_to_numpy(answer)[0]
            return answer

        layer.call = listening

    try:
        for number, layer in enumerate(watched):
            cover(number, layer)
        yield outputs
    finally:
        for layer in watched:
            layer.__dict__.pop("call", None)


def _strip(name: str, maps: NDArray[np.float32]) -> Strip:
    shown = min(maps.shape[2], MOST_CHANNELS)
    pixels = normalised(maps[:, :, :shown])
    return Strip(name, np.hstack([pixels[:, :, k] for k in range(shown)]), shown, maps.shape[2])


def _wrapped(strip: Strip, most: int) -> NDArray[Any]:
    """Lays a strip out with so many channels in a row, thin gaps between them: masked [h, w]."""
    tiles = [_tile(tile) for tile in np.hsplit(strip.pixels, strip.shown)]
    height, width = tiles[0].shape
    gap = max(1, width // 24)
    columns, rows = most, -(-len(tiles) // most)
    high, wide = height + gap, width + gap
    shape = (rows * high - gap, columns * wide - gap)
    result = np.ma.array(np.zeros(shape, np.uint8), mask=np.ones(shape, bool))
    for number, tile in enumerate(tiles):
        top, left = number // columns * high, number % columns * wide
        result[top : top + high - gap, left : left + wide - gap] = tile
    return result


def _tile(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Makes a small map larger, so that the gap is thin beside it, and a large one smaller."""
    longer = max(pixels.shape)
    times = max(1, _SMALLEST // longer)
    if longer > _LARGEST:
        return np.asarray(Image.fromarray(pixels).reduce(-(-longer // _LARGEST)))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)
