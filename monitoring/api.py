"""What Prometheus answers, over its HTTP API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Series:
    """A series of an answer.

    Attributes:
        labels: without the name of the metric, if the answer gives one.
        times: seconds since 1970.
        values: as many; none is a NaN.
    """

    labels: dict[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


class Prometheus:
    """A Prometheus at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def now(self, query: str, at: float | None = None) -> list[Series]:
        """Returns the series that a query gives, without those that are no number.

        Args:
            at: seconds since 1970; None: at present.

        Raises:
            ValueError: Prometheus does not take the query.
            httpx.HTTPError: it can't be reached.
        """
        moment = {} if at is None else {"time": at}
        found = self._ask("query", query=query, **moment)["result"]
        return _series((each["metric"], [each["value"]]) for each in found)

    def between(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """Returns the series of a time, with a value at every step.

        Args:
            start, end: seconds since 1970.
            step: seconds.

        Raises:
            ValueError, httpx.HTTPError: as of `now`.
        """
        asked = {"query": query, "start": start, "end": end, "step": step}
        found = self._ask("query_range", **asked)["result"]
        return _series((each["metric"], each["values"]) for each in found)

    def firing(self) -> dict[str, dict[str, str]]:
        """Returns the alerts that fire: names, and the annotations of one of each."""
        alerts = self._ask("alerts")["alerts"]
        return {
            alert["labels"]["alertname"]: alert["annotations"]
            for alert in alerts
            if alert["state"] == "firing"
        }

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=parameters, timeout=30).json()
        if answer["status"] != "success":
            raise ValueError(f"{parameters.get('query', what)}: {answer['error']}")
        return answer["data"]


def _series(found: Any) -> list[Series]:
    made = []
    for labels, pairs in found:
        numbers = [(float(time), float(text)) for time, text in pairs]
        sound = [pair for pair in numbers if math.isfinite(pair[1])]
        if sound:
            times, values = zip(*sound, strict=True)
            named = {name: value for name, value in labels.items() if name != "__name__"}
            made.append(Series(named, times, values))
    return made
