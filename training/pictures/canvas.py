"""What all pictures share: a figure in a theme's colours, text that can be drawn, thumbnails."""

from __future__ import annotations

import functools
import io
from typing import Any, Literal

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from training.pictures.theme import Theme

#: Width of a picture in inches: with these fonts it can be read at 340 pixels, on a phone.
WIDTH = 4.8
DPI = 160
#: Of pictures full of photographs, which a PNG does not make small.
PHOTO_DPI = 128
#: Sizes of text in points.
TITLE, TEXT, SMALL = 14, 11, 9.5
_FONT = "DejaVu Sans"  # comes with matplotlib


def figure(
    theme: Theme, height: float, *, width: float = WIDTH, dpi: int = DPI, free: bool = False
) -> Figure:
    """Returns an empty figure, inches wide and high; `free`: its axes are placed by `place`."""
    drawn = Figure(
        figsize=(width, height),
        dpi=dpi,
        facecolor=theme.background,
        layout=None if free else "constrained",
    )
    FigureCanvasAgg(drawn)
    return drawn


def png(drawn: Figure) -> bytes:
    """Returns the figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", facecolor=drawn.get_facecolor())
    return buffer.getvalue()


def title(drawn: Figure, text: str, theme: Theme) -> None:
    """Writes the figure's title above all axes, from the left."""
    drawn.suptitle(plain(text), x=0.015, ha="left", color=theme.text, fontsize=TITLE, weight="bold")


def style(axes: Axes, theme: Theme, *, grid: str = "y") -> None:
    """Gives axes with data the theme's colours; grid lines along "x", "y", "both" or "none"."""
    axes.set_facecolor(theme.background)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(theme.grid)
    axes.tick_params(colors=theme.muted, labelsize=TEXT, length=0, pad=5)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(theme.muted)
        label.set_fontsize(TEXT)
    axes.set_axisbelow(True)
    if grid in ("x", "both"):
        axes.xaxis.grid(True, color=theme.grid, linewidth=1)
    if grid in ("y", "both"):
        axes.yaxis.grid(True, color=theme.grid, linewidth=1)


def place(drawn: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Adds axes at a place in inches from the figure's upper left corner."""
    wide, high = drawn.get_size_inches()
    return drawn.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))


def write(
    drawn: Figure,
    left: float,
    top: float,
    text: str,
    *,
    color: str,
    size: float = TEXT,
    align: Literal["left", "right"] = "left",
) -> None:
    """Writes text whose upper edge is at a place in inches from the upper left corner."""
    wide, high = drawn.get_size_inches()
    place = (left / wide, 1 - top / high)
    drawn.text(*place, plain(text), color=color, fontsize=size, ha=align, va="top")


def show(axes: Axes, pixels: NDArray[Any], theme: Theme, **options: Any) -> None:
    """Shows pixels without ticks, in a thin frame."""
    axes.set_facecolor(theme.background)
    axes.imshow(pixels, interpolation="nearest" if pixels.shape[0] < 64 else None, **options)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
        spine.set_linewidth(0.8)


def colormap(theme: Theme) -> Colormap:
    """Returns the theme's scale from nothing to all."""
    return LinearSegmentedColormap.from_list("sequential", theme.sequential)


def plain(text: str) -> str:
    """Returns text as matplotlib draws it literally: no formulas, no letters that the font lacks.

    Class names come from the names of folders, and may hold anything.
    """
    known = "".join(letter if _has(letter) else "\u25a1" for letter in text)
    return known.replace("$", r"\$")


def short(text: str, most: int) -> str:
    """Returns at most so many letters of a text, with an ellipsis for the others."""
    return text if len(text) <= most else text[: max(1, most - 1)].rstrip() + "…"


def thumbnail(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Returns a picture whose longer side is at most `side`.

    Args:
        pixels: uint8 [H, W, 1 or 3].

    Returns:
        uint8 [h, w, 3], with the proportions of the original.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if _grey(pixels) else pixels))
    image.thumbnail((side, side))
    return np.asarray(image.convert("RGB"))


def _grey(pixels: NDArray[np.uint8]) -> bool:
    return pixels.shape[2] == 1


@functools.cache
def _has(letter: str) -> bool:
    return letter.isprintable() and all(
        font_manager.get_font(
            font_manager.findfont(font_manager.FontProperties(family=_FONT, weight=weight))
        ).get_char_index(ord(letter))
        for weight in ("normal", "bold")
    )
