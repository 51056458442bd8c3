"""How many pictures each class has in each set."""

from __future__ import annotations

from collections.abc import Sequence

from training.pictures import canvas
from training.pictures.theme import Theme
from training.run import ClassCounts

#: The most classes that are drawn; of more, the largest and the smallest are.
MOST_CLASSES = 24


def chosen(classes: Sequence[ClassCounts]) -> list[ClassCounts]:
    """Returns all classes in their order; of more than 24 the 12 largest and the 12 smallest."""
    if len(classes) <= MOST_CLASSES:
        return list(classes)
    ordered = sorted(classes, key=lambda row: row.train + row.validation + row.test, reverse=True)
    return ordered[: MOST_CLASSES // 2] + ordered[-MOST_CLASSES // 2 :]


def counts(classes: Sequence[ClassCounts], theme: Theme) -> bytes:
    """Draws a bar per class, in which training, validation and test pictures follow each other.

    Returns:
        A PNG.
    """
    rows = chosen(classes)
    drawn = canvas.figure(theme, 1.2 + 0.3 * len(rows))
    axes = drawn.add_subplot()
    canvas.style(axes, theme, grid="x")
    left = [0] * len(rows)
    for name, colour in (
        ("train", theme.train),
        ("validation", theme.validation),
        ("test", theme.test),
    ):
        values = [getattr(row, name) for row in rows]
        if not any(values):
            continue
        axes.barh(
            range(len(rows)),
            values,
            left=left,
            height=0.72,
            color=colour,
            edgecolor=theme.background,
            linewidth=0.8,
            label="training" if name == "train" else name,
        )
        left = [before + value for before, value in zip(left, values, strict=True)]
    for position, total in enumerate(left):
        axes.annotate(
            f" {total:,}",
            (total, position),
            va="center",
            color=theme.muted,
            fontsize=canvas.SMALL,
        )
    axes.set_xlim(0, max([*left, 1]) * 1.14)
    names = [canvas.plain(canvas.short(row.label, 16)) for row in rows]
    axes.set_yticks(range(len(rows)), names, color=theme.text)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=4)
    axes.spines["left"].set_visible(False)
    if any(left):
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=3,
            frameon=False,
            labelcolor=theme.text,
            fontsize=canvas.TEXT,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.2,
            borderpad=0.2,
        )
    return canvas.png(drawn)
