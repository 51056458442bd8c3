"""The colours of the pictures, for a light and for a dark page; colour-blind safe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Theme:
    """The colours of a picture, as #rrggbb.

    Attributes:
        background: of picture and page alike.
        text: titles and labels.
        muted: what may be overlooked: ticks, notes.
        grid: lines behind the data.
        right, wrong: of a prediction. A sign always goes with them: colour alone is not enough.
        train, validation, test: the three sets.
        neutral: bars that are not the point.
        sequential: a scale from nothing to all; it begins near the background.
        runs: of runs that are compared, in this order.
    """

    background: str
    text: str
    muted: str
    grid: str
    right: str
    wrong: str
    train: str
    validation: str
    test: str
    neutral: str
    sequential: tuple[str, ...]
    runs: tuple[str, ...]


LIGHT = Theme(
    background="#ffffff",
    text="#1c2330",
    muted="#5b6472",
    grid="#e3e6ec",
    right="#00796b",
    wrong="#c8440a",
    train="#1f66b5",
    validation="#c8640a",
    test="#7a4fa3",
    neutral="#b9c1cd",
    sequential=("#f4f7fb", "#c3d9ef", "#6ea6d7", "#2a6fb5", "#0d3b73"),
    runs=("#1f66b5", "#c8640a", "#00796b", "#a8327d", "#6b6f1d", "#5b6472", "#7a4fa3", "#8a2b0e"),
)

DARK = Theme(
    background="#171b22",
    text="#e9edf3",
    muted="#a2adbb",
    grid="#2e3541",
    right="#3fcfae",
    wrong="#ff8f5e",
    train="#6fb3ff",
    validation="#ffb35c",
    test="#c9a3f5",
    neutral="#566072",
    sequential=("#1f2530", "#244a75", "#2f7cc0", "#6fb9f0", "#d4ecff"),
    runs=("#6fb3ff", "#ffb35c", "#3fcfae", "#f58ccb", "#cfd06a", "#a2adbb", "#c9a3f5", "#ff8f5e"),
)
