"""The rules and the dashboards, as data: every query of them, and where each panel is drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
RULES = FOLDER / "prometheus" / "rules"
DASHBOARDS = FOLDER / "grafana" / "dashboards"


@dataclass(frozen=True)
class Rule:
    """A rule of Prometheus.

    Attributes:
        name: of the alert, or of the series that is recorded.
        alert: whether it is an alert.
        content: the rule as it stands in its file.
    """

    name: str
    alert: bool
    expression: str
    content: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A query of a panel.

    Attributes:
        expression: with Grafana's variables in it.
        legend: template of a series' name, with `{{label}}`.
    """

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard, or the heading of a row (type `row`).

    Attributes:
        place: x, y, width and height in Grafana's grid of 24 columns.
        content: the panel as it stands in its file.
    """

    title: str
    type: str
    place: tuple[int, int, int, int]
    targets: tuple[Target, ...]
    content: dict[str, Any]


def rules() -> list[Rule]:
    """Returns all rules, in the order of their files' names."""
    return [_rule(content) for path in sorted(RULES.glob("*.yml")) for content in _contents(path)]


def dashboards() -> dict[str, list[Panel]]:
    """Returns the panels of each dashboard, by the name of its file."""
    return {path.stem: panels(path) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(path: Path) -> list[Panel]:
    """Returns the panels of one dashboard's file."""
    return [_panel(content) for content in json.loads(path.read_text())["panels"]]


def filled(expression: str, *, rate: str) -> str:
    """Returns a panel's query with values for its variables: all namespaces, all models.

    Args:
        rate: a duration, as in `1m`, over which rates are taken.
    """
    values = {"$__rate_interval": rate, "$namespace": ".*", "$model": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def _contents(path: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


def _rule(content: dict[str, Any]) -> Rule:
    alert = "alert" in content
    return Rule(content["alert" if alert else "record"], alert, content["expr"], content)


def _panel(content: dict[str, Any]) -> Panel:
    place = content["gridPos"]
    return Panel(
        content["title"],
        content["type"],
        (place["x"], place["y"], place["w"], place["h"]),
        tuple(Target(t["expr"], t["legendFormat"]) for t in content.get("targets", ())),
        content,
    )
