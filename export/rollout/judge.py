"""Whether a version is good enough to follow the stable one: by its test set and its traffic."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from contract.manifest import MODEL_NAME, Manifest
from export.rollout.errors import WorseError

#: The metric that decides, by task, and whether more of it is better.
_DECIDES = {"classification": ("accuracy", True), "regression": ("mean_squared_error", False)}
#: Fewer answers than this of the canary say nothing about it.
LEAST_REQUESTS = 100
#: How much worse a canary's traffic may look by chance: the share of failed requests, and the mean
#: time as a multiple.
_MORE_FAILURES, _LONGER = 0.01, 1.5
_SECONDS = 10.0


@dataclass(frozen=True)
class Traffic:
    """What the gateways counted of one track.

    Attributes:
        requests: answered.
        failed: of these, with status 500 and above.
        seconds: mean time of an answer.
    """

    requests: float
    failed: float
    seconds: float

    @property
    def share(self) -> float:
        """The share of the requests that failed."""
        return self.failed / self.requests if self.requests else 0.0


def compare(stable: Manifest | None, new: Manifest | None, tolerance: float) -> Iterator[str]:
    """Compares two versions by the metrics of their test sets and yields what it sees, in words.

    Args:
        tolerance: how much worse the deciding metric may be: accuracy as a difference, a squared
            error as a share of the stable one's.

    Raises:
        WorseError: the new one is worse, or a version doesn't say how good it is.
    """
    if stable is None or new is None:
        raise WorseError("a version has no manifest, so nobody can tell which one is better")
    if stable.task != new.task:
        raise WorseError(f"the stable version is a {stable.task}, the new one a {new.task}")
    if stable.labels != new.labels:
        yield "the two have other labels: callers will see that"
    if stable.data.fingerprint != new.data.fingerprint:
        yield f"tested on other data: {stable.data.name} and {new.data.name}, or other pictures"
    if new.task not in _DECIDES:  # a feature extractor is neither right nor wrong
        return
    name, more_is_better = _DECIDES[new.task]
    before, after = stable.metrics.get(name, math.nan), new.metrics.get(name, math.nan)
    yield f"{name} {after:.4f}, of the stable version {before:.4f}"
    worse = before - after if more_is_better else (after - before) / before if before else after
    if not worse <= tolerance:  # NaN is neither
        raise WorseError(
            f"{name} is {after:.4f} instead of {before:.4f}: worse by more than {tolerance:g}"
        )


def compare_traffic(stable: Traffic, canary: Traffic) -> Iterator[str]:
    """Compares the traffic of the two tracks and yields what it sees, in words.

    Raises:
        WorseError: the canary's is worse, or too little to tell.
    """
    for name, track in (("canary", canary), ("stable", stable)):
        yield (
            f"{name}: {track.requests:.0f} requests, {track.share:.2%} failed,"
            f" {track.seconds * 1000:.0f} ms each"
        )
    if canary.requests < LEAST_REQUESTS:
        raise WorseError(f"the canary had {canary.requests:.0f} requests of {LEAST_REQUESTS}")
    if canary.share > stable.share + _MORE_FAILURES:
        raise WorseError(f"{canary.share:.2%} of the canary's requests failed")
    if stable.requests and canary.seconds > stable.seconds * _LONGER:
        raise WorseError(
            f"the canary takes {canary.seconds / stable.seconds:.1f} times as long to answer"
        )


def traffic(url: str, model: str, track: str, window: str) -> Traffic:
    """Asks a Prometheus for the traffic of one track of a canary.

    Args:
        url: of the Prometheus.
        window: how far to look back, as Prometheus writes it: 15m.

    Raises:
        WorseError: it can't be asked, so nobody can tell.
    """
    if not MODEL_NAME.fullmatch(model):
        raise WorseError(f"{model!r} is no model's name")
    chosen = f'model="{model}",track="{track}"'
    time = "lince_track_request_duration_seconds"
    requests = _value(url, f"sum(increase(lince_track_requests_total{{{chosen}}}[{window}]))")
    failed = _value(
        url, f'sum(increase(lince_track_requests_total{{{chosen},code=~"5.."}}[{window}]))'
    )
    total = _value(url, f"sum(increase({time}_sum{{{chosen}}}[{window}]))")
    count = _value(url, f"sum(increase({time}_count{{{chosen}}}[{window}]))")
    return Traffic(requests, failed, total / count if count else 0.0)


def _value(url: str, query: str) -> float:
    """The one value of a query; 0 where Prometheus has none."""
    where = f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    if not where.startswith(("http://", "https://")):
        raise WorseError(f"{url} is no http address")
    try:
        with urllib.request.urlopen(where, timeout=_SECONDS) as answer:  # noqa: S310 - checked
            result = json.load(answer)["data"]["result"]
        value = float(result[0]["value"][1]) if result else 0.0
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise WorseError(f"{url} answers nothing that can be used: {error}") from error
    return value if math.isfinite(value) else 0.0
