"""Draws a dashboard as a picture, from what Prometheus knows: for where there is no Grafana.

    python -m monitoring.draw http://127.0.0.1:9090 gateway gateway.png --minutes 60

It needs matplotlib, which `pip install 'lince[train]'` brings.
"""

from __future__ import annotations

import argparse
import itertools
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from monitoring.api import Prometheus, Series
from monitoring.queries import DASHBOARDS, Panel, Target, filled, panels

#: Inches of a column and of a line of Grafana's grid, and steps of a time.
_COLUMN, _LINE, _STEPS = 0.66, 0.42, 120
_ABOVE, _BELOW = 0.8, 0.9  # in lines: a panel's title, and its axis
_UNITS = {"µs": (1e-6, "s"), "s": (1, "s"), "percentunit": (100, "%"), "bytes": (1, "B")}
_UNITS |= {"reqps": (1, "/s"), "ops": (1, "/s")}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes:
        start, end: seconds since 1970.
        rate: what `$__rate_interval` stands for, as in `1m`.
    """

    prometheus: Prometheus
    start: float
    end: float
    rate: str

    def minutes(self, times: Iterable[float]) -> list[float]:
        """Returns moments as minutes before the end."""
        return [(moment - self.end) / 60 for moment in times]

    def steps(self, count: int = _STEPS) -> list[float]:
        """Returns as many moments, evenly spread, as minutes before the end."""
        return self.minutes(np.linspace(self.start, self.end, count))

    def gridded(self, series: Series) -> NDArray[np.float64]:
        """Returns a series' values at `steps()`, NaN where it has none."""
        values = np.full(_STEPS, np.nan)
        place = (np.array(series.times) - self.start) / (self.end - self.start) * (_STEPS - 1)
        values[place.round().astype(int)] = series.values
        return values

    def lines(self, target: Target) -> list[tuple[str, Series]]:
        step = (self.end - self.start) / (_STEPS - 1)
        query = filled(target.expression, rate=self.rate)
        found = self.prometheus.between(query, self.start, self.end, step)
        return [(_name(target, series), series) for series in found]

    def last(self, target: Target) -> list[tuple[str, Series]]:
        found = self.prometheus.now(filled(target.expression, rate=self.rate), self.end)
        return [(_name(target, series), series) for series in found]


def draw(dashboard: Path, view: View, out: Path, *, lines: int | None = None) -> None:
    """Draws the panels of a dashboard's file into a PNG file.

    Args:
        lines: how many of Grafana's grid to draw; None: all.

    Raises:
        httpx.HTTPError: Prometheus can't be reached.
        OSError: the file can't be written.
    """
    all_panels = panels(dashboard)
    if lines is None:
        lines = max(panel.place[1] + panel.place[3] for panel in all_panels)
    drawn = [panel for panel in all_panels if panel.place[1] + panel.place[3] <= lines]
    figure = Figure(figsize=(24 * _COLUMN, lines * _LINE), dpi=90)
    for panel in drawn:
        x, y, width, height = panel.place
        if panel.type == "row":
            figure.text(0.01, 1 - (y + 0.7) / lines, panel.title, fontsize=11, fontweight="bold")
            continue
        left, bottom = (x + 1.4) / 24, 1 - (y + height - _BELOW) / lines
        across, up = max(width - 1.9, 1) / 24, (height - _BELOW - _ABOVE) / lines
        axes = figure.add_axes((left, bottom, across, up))
        axes.set_title(panel.title, fontsize=8, loc="left", pad=3)
        _WAYS[panel.type](axes, panel, view)
    figure.savefig(out)


def _name(target: Target, series: Series) -> str:
    if target.legend == "__auto":
        return ", ".join(series.labels.values())
    return re.sub(r"{{(\w+)}}", lambda found: series.labels.get(found[1], ""), target.legend)


def _number(value: float, unit: str) -> str:
    factor, sign = _UNITS.get(unit, (1, ""))
    value *= factor
    if sign == "%" or value == 0:
        return f"{value:.3g} {sign}".strip()
    scale, prefix = next((p for p in _PREFIXES if abs(value) >= p[0]), _PREFIXES[-1])
    if sign in ("", "/s") and scale < 1:
        scale, prefix = 1, ""
    return f"{value / scale:.3g} {prefix}{sign}".strip()


def _stat(axes: Axes, panel: Panel, view: View) -> None:
    axes.set_axis_off()
    found = [pair for target in panel.targets for pair in view.last(target)]
    text, colour = "no data", "grey"
    if found:
        value = found[0][1].values[-1]
        defaults = panel.content["fieldConfig"]["defaults"]
        text, colour = _number(value, defaults["unit"]), "black"
        for step in defaults.get("thresholds", {}).get("steps", ()):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
    axes.text(0.0, 0.45, text, fontsize=17, color=colour, va="center")


def _timeseries(axes: Axes, panel: Panel, view: View) -> None:
    found = [pair for target in panel.targets for pair in view.lines(target)]
    defaults = panel.content["fieldConfig"]["defaults"]
    if "stacking" in defaults.get("custom", {}):
        _stack(axes, found, view)
    else:
        for name, series in found:
            axes.plot(view.steps(), view.gridded(series), linewidth=1, label=name)
    _frame(axes, view, defaults["unit"])
    top = max((max(series.values) for _, series in found), default=0)
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is not None and step["value"] <= 2 * top:
            axes.axhline(step["value"], color=step["color"], linewidth=0.8, linestyle="--")
    axes.set_ylim(bottom=0, top=1.1 * max(axes.get_ylim()[1], 1e-9))
    _end(axes, bool(found))


def _stack(axes: Axes, found: list[tuple[str, Series]], view: View) -> None:
    heights = [np.nan_to_num(view.gridded(series)) for _, series in found]
    if heights:
        axes.stackplot(view.steps(), *heights, labels=[name for name, _ in found], alpha=0.7)


def _heatmap(axes: Axes, panel: Panel, view: View) -> None:
    unit = panel.content["options"]["yAxis"]["unit"]
    found = [series for target in panel.targets for _, series in view.lines(target)]
    found.sort(key=lambda series: float(series.labels["le"]))
    sums = [np.nan_to_num(view.gridded(series)) for series in found]
    bounds = [_number(float(series.labels["le"]), unit) for series in found]
    if sums:
        cells = np.maximum(np.diff(np.stack(sums), axis=0, prepend=0), 0)
        # Only the buckets between the first and the last with something in them.
        used = np.flatnonzero(cells.max(axis=1) > 0)
        low, high = (used[0], used[-1] + 1) if used.size else (0, len(cells))
        shown = np.where(cells > 0, np.sqrt(cells), np.nan)[low:high]
        edges = view.steps(_STEPS + 1), np.arange(high - low + 1)
        axes.pcolormesh(*edges, shown, cmap="Oranges", vmin=0)
        every = max(1, (high - low) // 6)
        axes.set_yticks(np.arange(0, high - low, every) + 1, bounds[low:high:every])
    _frame(axes, view, None)
    _end(axes, bool(found), legend=False)


def _bars(axes: Axes, panel: Panel, view: View) -> None:
    found = [pair for target in panel.targets for pair in view.last(target)]
    found.sort(key=lambda pair: pair[1].values[-1])
    unit = panel.content["fieldConfig"]["defaults"]["unit"]
    names = ["/".join(name.split("/")[-2:]) for name, _ in found]
    axes.barh(names, [series.values[-1] for _, series in found], color="tab:blue", alpha=0.7)
    axes.xaxis.set_major_formatter(lambda value, _: _number(value, unit))
    _end(axes, bool(found), legend=False)


def _table(axes: Axes, panel: Panel, view: View) -> None:
    axes.set_axis_off()
    found = [pair for target in panel.targets for pair in view.last(target)]
    for number, (_, series) in enumerate(found):
        text = "   ".join(f"{key}: {value[:24]}" for key, value in series.labels.items() if value)
        axes.text(0, 0.9 - 0.15 * number, text, fontsize=7, va="top")
    _end(axes, bool(found), legend=False)


def _timeline(axes: Axes, panel: Panel, view: View) -> None:
    found = [pair for target in panel.targets for pair in view.lines(target)]
    for row, (_, series) in enumerate(found):
        width = (view.end - view.start) / _STEPS / 60
        for value, group in itertools.groupby(
            zip(view.minutes(series.times), series.values, strict=True), key=lambda pair: pair[1]
        ):
            moments = [minute for minute, _ in group]
            colour = "tab:green" if value else "lightgrey"
            spans = [(moments[0], moments[-1] - moments[0] + width)]
            axes.broken_barh(spans, (row - 0.4, 0.8), color=colour)
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    _frame(axes, view, None)
    _end(axes, bool(found), legend=False)


_WAYS: dict[str, Callable[[Axes, Panel, View], None]] = {
    "stat": _stat,
    "timeseries": _timeseries,
    "heatmap": _heatmap,
    "barchart": _bars,
    "bargauge": _bars,
    "table": _table,
    "state-timeline": _timeline,
}


def _frame(axes: Axes, view: View, unit: str | None) -> None:
    axes.set_xlim((view.start - view.end) / 60, 0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
    if unit is not None:
        axes.yaxis.set_major_formatter(lambda value, _: _number(value, unit))


def _end(axes: Axes, has_data: bool, *, legend: bool = True) -> None:
    axes.tick_params(labelsize=6, length=2)
    axes.grid(alpha=0.25, linewidth=0.5)
    if not has_data:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="grey")
    elif legend:
        axes.legend(fontsize=5.5, loc="upper left", framealpha=0.6, ncols=2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a dashboard from what Prometheus knows.")
    parser.add_argument("url", help="Prometheus's address, as in http://127.0.0.1:9090")
    names = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
    parser.add_argument("dashboard", choices=names)
    parser.add_argument("out", type=Path, help="the PNG file to write")
    parser.add_argument("--minutes", type=float, default=60, help="how far back (default: 60)")
    parser.add_argument("--rate", default="1m", help="over how long rates are taken (default: 1m)")
    asked = parser.parse_args()
    now = time.time()
    view = View(Prometheus(asked.url), now - asked.minutes * 60, now, asked.rate)
    draw(DASHBOARDS / f"{asked.dashboard}.json", view, asked.out)


if __name__ == "__main__":
    main()
