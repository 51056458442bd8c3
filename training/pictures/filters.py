"""The kernels of a convolution as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from training.pictures import canvas
from training.pictures.theme import Theme

MOST_FILTERS, MOST_CHANNELS = 16, 8
_RGB = 3
_MARGIN, _BETWEEN, _HEADS = 0.32, 0.42, 0.3


def scaled(kernel: NDArray[Any]) -> NDArray[np.float32]:
    """Scales a kernel so that its smallest weight is 0 and its largest 1; 0.5 if all are equal.

    Args:
        kernel: float [h, w, channels, filters].

    Returns:
        float32 of the same shape.
    """
    weights = np.nan_to_num(np.asarray(kernel, dtype=np.float32))
    low, high = weights.min(), weights.max()
    if low == high:
        return np.full_like(weights, 0.5)
    result: NDArray[np.float32] = (weights - low) / (high - low)
    return result


def caption(kernel: NDArray[Any]) -> str:
    """Says in words what `filters` shows of a kernel [h, w, channels, filters]."""
    height, width, channels, count = kernel.shape
    shown = "all" if count <= MOST_FILTERS else f"the first {MOST_FILTERS} of"
    text = f"{height}×{width} weights, black the smallest and white the largest: {shown} {count}"
    text += " filters, a row each"
    if channels == 1:
        return text + "."
    if channels == _RGB:
        return text + ", with a column per channel: red, green, blue, and the three as one colour."
    few = "" if channels <= MOST_CHANNELS else f", the first {MOST_CHANNELS} of {channels}"
    return text + f", with a column per input channel{few}."


def filters(kernel: NDArray[Any], theme: Theme) -> bytes:
    """Draws the filters of a convolution, a row each, a column per input channel.

    At most 16 filters and 8 channels are drawn, in blocks beside each other. Filters on three
    channels are also shown as a colour.

    Args:
        kernel: float [h, w, channels, filters].

    Returns:
        A PNG.
    """
    weights = scaled(kernel)[:, :, :MOST_CHANNELS, :MOST_FILTERS]
    channels, count = weights.shape[2:]
    columns = channels + (channels == _RGB)
    blocks = min(count, 4 if columns <= 2 else 2)
    rows = -(-count // blocks)
    room = canvas.WIDTH - 2 * _MARGIN - (blocks - 1) * _BETWEEN
    cell = room / (blocks * columns)
    drawn = canvas.figure(theme, _HEADS + rows * cell + 0.12, free=True)
    for block in range(blocks):
        numbers = range(block * rows, min((block + 1) * rows, count))
        if not numbers:
            continue
        left = _MARGIN + block * (columns * cell + _BETWEEN)
        size = (columns * cell, len(numbers) * cell)
        axes = canvas.place(drawn, left, _HEADS, *size)
        _block(axes, weights[:, :, :, numbers.start : numbers.stop], numbers.start, theme)
    return canvas.png(drawn)


def _block(axes: Axes, weights: NDArray[np.float32], first: int, theme: Theme) -> None:
    height, width, channels, count = weights.shape
    columns = channels + (channels == _RGB)
    for row in range(count):
        for column in range(columns):
            colour = column == channels
            tile = weights[:, :, :, row] if colour else weights[:, :, column, row]
            edges = (column + 0.04, column + 0.96, row + 0.96, row + 0.04)
            axes.imshow(tile, cmap="gray", vmin=0, vmax=1, extent=edges, interpolation="nearest")
    axes.set_xlim(0, columns)
    axes.set_ylim(count, 0)
    axes.set_aspect("auto" if height == width else height / width)
    heads = [*"RGB", "RGB"] if channels == _RGB else [str(n + 1) for n in range(channels)]
    axes.set_xticks([n + 0.5 for n in range(columns)], [] if channels == 1 else heads)
    axes.set_yticks([n + 0.5 for n in range(count)], [str(first + n + 1) for n in range(count)])
    canvas.style(axes, theme, grid="none")
    axes.tick_params(labelsize=canvas.SMALL, pad=2)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
