"""The confusion matrix: which classes a model takes for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from training.pictures import canvas
from training.pictures.theme import Theme

#: The most classes whose numbers can be read.
MOST_NUMBERS = 20
_MOST_SHARES = 6
_MOST_LABELS = 40
_MOST_LETTERS = 14


def confusion(matrix: NDArray[np.int64], labels: Sequence[str], theme: Theme) -> bytes:
    """Draws a confusion matrix; the colour is the share of the true class's pictures.

    Up to 6 classes a cell says share and count, up to 20 the count, above that nothing.

    Args:
        matrix: int [K, K]: rows are true classes, columns predicted ones.
        labels: the K class names.

    Returns:
        A PNG.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(labels) > _MOST_SHARES
    width = 6.4 if many else canvas.WIDTH
    drawn = canvas.figure(theme, width * (1.0 if many else 0.94), width=width)
    axes = drawn.add_subplot()
    axes.imshow(shares, cmap=canvas.colormap(theme), vmin=0, vmax=1, interpolation="nearest")
    canvas.style(axes, theme, grid="none")
    _labels(axes, labels, theme)
    if len(labels) <= MOST_NUMBERS:
        _numbers(axes, counts, shares, theme)
        edges = np.arange(len(labels) + 1) - 0.5
        axes.vlines(edges, -0.5, len(labels) - 0.5, color=theme.background, linewidth=1.5)
        axes.hlines(edges, -0.5, len(labels) - 0.5, color=theme.background, linewidth=1.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return canvas.png(drawn)


def _labels(axes: Axes, labels: Sequence[str], theme: Theme) -> None:
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) > _MOST_LABELS:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    size = canvas.TEXT + 2 * (len(labels) > _MOST_SHARES)
    if len(labels) > 12:
        size = canvas.TEXT if len(labels) <= MOST_NUMBERS else 6
    names = [canvas.plain(canvas.short(label, _MOST_LETTERS)) for label in labels]
    numbers = range(len(labels))
    letters = sum(len(name) for name in names)
    upright = letters > 34
    axes.set_xticks(
        numbers,
        names,
        color=theme.text,
        fontsize=size,
        rotation=40 if upright else 0,
        ha="right" if upright else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(numbers, names, color=theme.text, fontsize=size)


def _numbers(
    axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], theme: Theme
) -> None:
    kinds = len(counts)
    size = 14 if kinds <= 10 else 11 if kinds <= 14 else 9
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        strong = shares[row, column] > 0.5
        colour = theme.background if strong else theme.text
        if kinds <= _MOST_SHARES:
            share = f"{shares[row, column]:.0%}"
            axes.text(
                column, row + 0.02, share, color=colour, fontsize=size, ha="center", va="bottom"
            )
            axes.text(
                column, row + 0.08, str(count), color=colour, fontsize=9, ha="center", va="top"
            )
        else:
            axes.text(
                column, row, str(count), color=colour, fontsize=size, ha="center", va="center"
            )
