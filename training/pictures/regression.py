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
    ends = [min([*true, *predicted], default=0), max([*true, *predicted], default=1)]
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
    return canvas.png(drawn)
