"""A regression's predictions against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.pictures import canvas
from training.pictures.theme import Theme


def regression(targets: NDArray[Any], outputs: NDArray[Any], theme: Theme) -> bytes:
    """Draws predicted values over true ones: on the diagonal they are the same.

    Args:
        targets, outputs: float [N] or [N, 1].

    Returns:
        A PNG.
    """
    true = np.nan_to_num(np.ravel(targets).astype(float))
    predicted = np.nan_to_num(np.ravel(outputs).astype(float))
    drawn = canvas.figure(theme, 3.8)
    axes = drawn.add_subplot()
    canvas.style(axes, theme, grid="both")
    ends = _around([*true, *predicted])
    axes.plot(ends, ends, color=theme.muted, linewidth=1.4, linestyle=(0, (4, 3)))
    axes.plot(
        true,
        predicted,
        marker="o",
        linestyle="",
        markersize=7,
        color=theme.train,
        markeredgecolor=theme.background,
    )
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.locator_params(nbins=6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    return canvas.png(drawn)


def _around(values: list[float]) -> list[float]:
    """The ends of a diagonal; a single point has some of it on both sides."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = max(0.05 * (high - low), 0.1 * abs(high), 1e-6) if len(values) <= 2 else 0.0
    return [low - margin, high + margin]
