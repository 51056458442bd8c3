"""Pictures with what a model says of them, right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.pictures import canvas
from training.pictures.theme import Theme

_COLUMNS = 3
_CELL, _SIDE, _WORDS, _BARS, _GAP = canvas.WIDTH / _COLUMNS, 1.42, 0.46, 0.34, 0.16
_MOST_LETTERS = 14


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A picture, and what a model says of it.

    Attributes:
        pixels: uint8 [H, W, 1 or 3].
        label: position of the true class.
        probabilities: float [K].
    """

    pixels: NDArray[np.uint8]
    label: int
    probabilities: NDArray[np.float32]


def predictions(cells: Sequence[Prediction], labels: Sequence[str], theme: Theme) -> bytes:
    """Draws pictures in three columns, each with its prediction, true class and probabilities.

    The predicted class has a tick or a cross, and a colour; so has its bar. Where it is wrong, the
    true class is named too, and its bar has the colour of right.

    Args:
        cells: the pictures.
        labels: class names.

    Returns:
        A PNG.
    """
    rows = max(1, -(-len(cells) // _COLUMNS))
    height = rows * (_SIDE + _WORDS + _BARS + _GAP)
    drawn = canvas.figure(theme, height, dpi=canvas.PHOTO_DPI, free=True)
    for number, cell in enumerate(cells):
        left = number % _COLUMNS * _CELL + (_CELL - _SIDE) / 2
        top = number // _COLUMNS * (height / rows) + 0.08
        axes = canvas.place(drawn, left, top, _SIDE, _SIDE)
        canvas.show(axes, canvas.thumbnail(cell.pixels, 256), theme)
        axes.set_anchor("S")
        _words(drawn, left, top + _SIDE + 0.06, cell, labels, theme)
        _bars(drawn, left, top + _SIDE + _WORDS, cell, theme)
    return canvas.png(drawn)


def _words(
    drawn: Figure,
    left: float,
    top: float,
    cell: Prediction,
    labels: Sequence[str],
    theme: Theme,
) -> None:
    guess = int(np.argmax(cell.probabilities))
    right = guess == cell.label
    share = f"{float(cell.probabilities[guess]):.0%}"
    name = canvas.short(labels[guess], _MOST_LETTERS - len(share))
    text = f"{'✓' if right else '✗'} {name} {share}"
    canvas.write(drawn, left, top, text, color=theme.right if right else theme.wrong)
    if not right:
        true = f"is {canvas.short(labels[cell.label], _MOST_LETTERS)}"
        canvas.write(drawn, left, top + 0.2, true, color=theme.muted, size=canvas.SMALL)


def _bars(drawn: Figure, left: float, top: float, cell: Prediction, theme: Theme) -> None:
    guess = int(np.argmax(cell.probabilities))
    colours = [theme.neutral] * len(cell.probabilities)
    colours[guess] = theme.wrong
    colours[cell.label] = theme.right
    axes = canvas.place(drawn, left, top, _SIDE, _BARS)
    axes.set_facecolor(theme.background)
    axes.bar(range(len(colours)), cell.probabilities, color=colours, width=0.82)
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, len(colours) - 0.4)
    axes.set_xticks([])
    axes.set_yticks([])
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.neutral)
