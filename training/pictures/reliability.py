"""The reliability diagram: whether a model's probabilities mean what they say."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from training.evaluation.report import Calibration
from training.pictures import canvas
from training.pictures.theme import Theme


def reliability(calibration: Calibration, theme: Theme) -> bytes:
    """Draws accuracy against confidence in bins, and how many pictures each bin has.

    Hatched is what the confidence is above the accuracy.

    Returns:
        A PNG.
    """
    drawn = canvas.figure(theme, 4.5)
    canvas.title(drawn, f"ECE {calibration.error:.3f}", theme)
    upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _accuracies(upper, calibration, theme)
    _pictures(lower, calibration, theme)
    return canvas.png(drawn)


def _accuracies(axes: Axes, calibration: Calibration, theme: Theme) -> None:
    canvas.style(axes, theme)
    axes.plot([0, 1], [0, 1], color=theme.text, linewidth=1.4, linestyle=(0, (4, 3)), zorder=3)
    for part in calibration.bins:
        if not part.pictures:
            continue
        width = (part.high - part.low) * 0.9
        middle = (part.low + part.high) / 2
        axes.bar(middle, part.accuracy, width, color=theme.train, zorder=2)
        axes.bar(
            middle,
            max(0.0, part.confidence - part.accuracy),
            width,
            bottom=part.accuracy,
            color="none",
            hatch="////",
            edgecolor=theme.wrong,
            linewidth=0,
            zorder=2.5,
        )
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, 1)
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _pictures(axes: Axes, calibration: Calibration, theme: Theme) -> None:
    canvas.style(axes, theme)
    middles = [(part.low + part.high) / 2 for part in calibration.bins]
    widths = [(part.high - part.low) * 0.9 for part in calibration.bins]
    counts = [part.pictures for part in calibration.bins]
    axes.bar(middles, counts, widths, color=theme.neutral)
    axes.set_xlabel("confidence")
    axes.set_ylabel("pictures")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_yticks([0, max(counts, default=0) or 1])
