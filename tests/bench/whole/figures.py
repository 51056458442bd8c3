"""The pictures of docs/performance.md."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

from tests.bench.whole.lince_up import GATEWAY, MODEL_SERVER
from tests.bench.whole.results import LIMIT, Results, Workload, cpu_of

matplotlib.use("agg")

from matplotlib import pyplot as plt

#: What a request's milliseconds are made of, in the order in which they pass.
STAGES = (
    "HTTP, way to the gateway",
    "read",
    "queue",
    "decode and resize",
    "model",
    "gRPC and model server",
    "answer and the rest",
)
_COLOURS = ("#c8c8c8", "#9a9a9a", "#7a7a7a", "#aabede", "#3c6eb4", "#dc9632", "#16803c")
_OURS, _OURS_TOO, _OTHERS, _LIMIT = "#3c6eb4", "#aabede", "#9a9a9a", "#dc9632"


def parts_of(workload: Workload) -> tuple[float, ...]:
    """Milliseconds of each of STAGES; together what the caller waited."""
    found = workload.stages
    assert found is not None
    known = found.read + found.queue + found.decode + found.predict
    return (
        found.client - found.total,
        found.read,
        found.queue,
        found.decode,
        min(found.model, found.predict),
        max(found.predict - found.model, 0.0),
        found.total - known,
    )


def draw(results: Results, docs: Path) -> None:
    """Writes performance-*.png."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    _stages(results, docs / "performance-stages.png")
    _rates(results, docs / "performance-rates.png")
    _cpu(results, docs / "performance-cpu.png")


def _stages(results: Results, file: Path) -> None:
    shown = [workload for workload in results.workloads if workload.stages]
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(8, 0.9 + 0.9 * len(shown)), squeeze=False, layout="constrained"
    )
    for axis, workload in zip(axes[:, 0], shown, strict=True):
        left = 0.0
        for name, colour, ms in zip(STAGES, _COLOURS, parts_of(workload), strict=True):
            axis.barh([workload.name], [ms], left=left, color=colour, label=name)
            if ms > 0.06 * sum(parts_of(workload)):
                axis.text(left + ms / 2, 0, f"{ms:.1f}", ha="center", va="center")
            left += ms
        axis.margins(x=0)
    axes[-1, 0].set_xlabel("milliseconds of one request, no other being there")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    _save(figure, file)


def _rates(results: Results, file: Path) -> None:
    figure, axes = plt.subplots(
        1, len(results.workloads), figsize=(8, 3), squeeze=False, layout="constrained"
    )
    colours = _of_systems(results)
    for axis, workload in zip(axes[0], results.workloads, strict=True):
        clients = sorted({s.clients for s in workload.samples if s.clients})
        width = 0.8 / len(workload.systems)
        for number, system in enumerate(workload.systems):
            colour = colours[system]
            heights = [median(s.rate for s in workload.of(system, n)) for n in clients]
            places = [place + number * width for place in range(len(clients))]
            axis.bar(places, heights, width, label=system, color=colour)
        allowed = median(s.rate for s in workload.of(LIMIT))
        axis.axhline(allowed, color=_LIMIT, label="limit")
        axis.set_xticks([place + 0.4 - width / 2 for place in range(len(clients))], clients)
        axis.set_xlabel("clients")
        axis.set_title(workload.name)
    axes[0, 0].set_ylabel("requests per second")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    _save(figure, file)


def _of_systems(results: Results) -> dict[str, Any]:
    """A colour for each system, the same in all plots: blues for ours, greys for others."""
    names = list(dict.fromkeys(name for each in results.workloads for name in each.systems))
    found = {}
    for kind, palette in ((True, "Blues_r"), (False, "Greys")):
        alike = [name for name in names if name.startswith("Lince") == kind]
        for number, name in enumerate(alike):
            found[name] = plt.get_cmap(palette)(0.25 + 0.5 * number / len(alike))
    return found


def _cpu(results: Results, file: Path) -> None:
    figure, axes = plt.subplots(
        1, len(results.workloads), figsize=(13, 2.8), squeeze=False, layout="constrained"
    )
    for axis, workload in zip(axes[0], results.workloads, strict=True):
        names = [LIMIT, *workload.systems]
        for place, system in enumerate(reversed(names)):
            seen = workload.of(system, 0 if system == LIMIT else 32)
            roles = [role for role in (MODEL_SERVER, GATEWAY) if role in seen[0].cpu_ms]
            costs = [cpu_of(seen, role) for role in roles] or [cpu_of(seen)]
            left = 0.0
            colours = (_OURS, _OURS_TOO) if roles else (_LIMIT if system == LIMIT else _OTHERS,)
            for name, ms, colour in zip(roles or [""], costs, colours, strict=True):
                axis.barh([place], [ms], left=left, color=colour, label=name)
                left += ms
        axis.set_yticks(range(len(names)), reversed(names))
        axis.set_title(workload.name)
        axis.set_xlabel("CPU ms per request, 32 clients")
    named = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named, loc="outside lower center", ncols=2, frameon=False)
    _save(figure, file)


def _save(figure: plt.Figure, file: Path) -> None:
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
