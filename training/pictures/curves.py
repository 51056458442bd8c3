"""Curves over the epochs: training against validation, or several runs over each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

from training.pictures import canvas
from training.pictures.theme import Theme

#: More letters than that are not beside each other in the legend.
_MOST_LETTERS, _LONGEST_LABEL = 26, 44


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a curve.

    Attributes:
        label: its name in the legend; empty: it is not there.
        epochs: counted from 1.
        values: one per epoch; NaN leaves a gap.
        colour: as #rrggbb.
        dashed: drawn as dashes.
        kept: the epoch that gets a ring: the one whose weights were kept.
    """

    label: str
    epochs: Sequence[int]
    values: Sequence[float]
    colour: str
    dashed: bool = False
    kept: int | None = None


def curves(
    lines: Sequence[Line],
    theme: Theme,
    *,
    title: str,
    percent: bool = False,
    logarithmic: bool = False,
    kept: int | None = None,
    borders: Sequence[int] = (),
) -> bytes:
    """Draws lines over the epochs.

    Args:
        lines: drawn in this order.
        title: what the lines measure.
        percent: the values are shares.
        logarithmic: of the values' axis.
        kept: epoch whose weights were kept; a dotted line and its number say so.
        borders: the epochs with which a stage of the fit ends and another one begins.

    Returns:
        A PNG.
    """
    tall = sum(len(line.label) for line in lines) > _MOST_LETTERS
    drawn = canvas.figure(theme, 3.4 + (0.24 * len(lines) if tall else 0))
    canvas.title(drawn, title, theme)
    axes = drawn.add_subplot()
    canvas.style(axes, theme)
    for line in lines:
        _draw(axes, line, theme)
    _ranges(axes, lines, percent=percent, logarithmic=logarithmic)
    for border in borders:
        axes.axvline(border + 0.5, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if borders:
        _note(axes, borders[0] + 0.5, "fine-tuning" if len(borders) == 1 else "next stage", theme)
    if kept is not None:
        axes.axvline(kept, color=theme.text, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.set_xlabel(f"epoch; the one kept is {kept}")
    else:
        axes.set_xlabel("epoch")
    if any(line.label for line in lines):
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=1 if tall else len(lines),
            frameon=False,
            labelcolor=theme.text,
            fontsize=canvas.SMALL if tall else canvas.TEXT,
            handlelength=1.8,
            borderpad=0.2,
            columnspacing=1.2,
        )
    return canvas.png(drawn)


def _draw(axes: Axes, line: Line, theme: Theme) -> None:
    values = np.asarray(line.values, dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    axes.plot(
        list(line.epochs),
        values,
        color=line.colour,
        linewidth=2.4,
        linestyle=(0, (3, 1.5)) if line.dashed else "-",
        marker="o",
        markersize=5 if len(values) < 3 else 0,
        solid_capstyle="round",
        label=canvas.plain(canvas.short(line.label, _LONGEST_LABEL)) or "_",
    )
    if line.kept is not None and line.kept in line.epochs:
        axes.plot(
            [line.kept],
            [values[list(line.epochs).index(line.kept)]],
            marker="o",
            markersize=9,
            markerfacecolor=theme.background,
            markeredgecolor=line.colour,
            markeredgewidth=2.4,
            label="_",
            zorder=4,
        )


def _ranges(axes: Axes, lines: Sequence[Line], *, percent: bool, logarithmic: bool) -> None:
    last = max((max(line.epochs, default=1) for line in lines), default=1)
    margin = max(0.5, 0.03 * last)
    axes.set_xlim(1 - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        return
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if percent:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), min(high, 1.01))
        decimals = 0 if high - low > 0.05 else 1
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))


def _note(axes: Axes, at: float, text: str, theme: Theme) -> None:
    axes.annotate(
        f" {text}",
        (at, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(2, 4),
        textcoords="offset points",
        color=theme.muted,
        fontsize=canvas.SMALL,
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1.5},
        zorder=1.5,
    )
