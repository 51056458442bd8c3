"""What a rate of images takes: the arithmetic of docs/scale.md.

python -m docs.scale GATEWAY_MS MODEL_MS
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pod:
    """CPUs that a pod asks for, and the share of them above which k8s/base adds another."""

    cpus: int
    share: float


GATEWAY, MODEL_SERVER = Pod(1, 0.65), Pod(2, 0.60)
#: Seconds after which a model server ends a connection, and a gateway asks for versions again.
CONNECTION_AGE, REFRESH = 30, 1
RATES = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Costs:
    """What one image costs.

    Attributes:
        gateway: CPU milliseconds in the gateway.
        model: CPU milliseconds in the model server.
        pixels: bytes that the gateway sends to the model server: height × width × channels.
        file: bytes of the picture's file.
    """

    gateway: float
    model: float
    pixels: int = 180 * 180 * 3
    file: int = 50_000


#: Round numbers for the page's example, which are no measurements.
EXAMPLE = Costs(gateway=4.0, model=4.0)


def pods(rate: float, milliseconds: float, pod: Pod) -> int:
    """How many pods a rate takes; never under two, so that one may leave."""
    return max(2, math.ceil(rate * milliseconds / 1000 / (pod.cpus * pod.share)))


def table(costs: Costs, rates: Sequence[int] = RATES) -> str:
    """The page's table for some costs."""
    counts = [
        (pods(rate, costs.gateway, GATEWAY), pods(rate, costs.model, MODEL_SERVER))
        for rate in rates
    ]
    cpus = [g * GATEWAY.cpus + s * MODEL_SERVER.cpus for g, s in counts]
    rows: list[tuple[str, ...]] = [
        ("images a second", *(f"{rate:,}" for rate in rates)),
        ("gateways", *(f"{g:,}" for g, _ in counts)),
        ("model servers", *(f"{s:,}" for _, s in counts)),
        ("CPUs asked for", *(f"{count:,}" for count in cpus)),
        ("connections between them", *(f"{g * s:,}" for g, s in counts)),
        ("new connections a second", *(f"{g * s / CONNECTION_AGE:,.1f}" for g, s in counts)),
        ("questions for versions a second", *(f"{3 * g / REFRESH:,.0f}" for g, _ in counts)),
        ("files, Gbit/s", *(_gbit(rate * costs.file) for rate in rates)),
        ("pixels, Gbit/s", *(_gbit(rate * costs.pixels) for rate in rates)),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|---:" * len(rates) + "|", *lines[1:]])


def _gbit(bytes_a_second: float) -> str:
    return f"{bytes_a_second * 8 / 1e9:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gateway_ms", type=float, help="CPU milliseconds of an image there")
    parser.add_argument("model_ms", type=float)
    given = parser.parse_args()
    print(table(Costs(given.gateway_ms, given.model_ms)))
