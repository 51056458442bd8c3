"""Twice the load that the gateway can carry: what becomes of those it takes, and of the rest.

python -m tests.bench.overload [--model VERSION_FOLDER] [--rounds N] [--seconds S]

Callers that wait for their answer before they ask again show the capacity. Then callers ask at
twice that pace, whatever the answers. Both take turns; each figure is the median of the rounds.
They send a photograph of 256×192 to flowers-cnn, unless another model is given.
"""

import argparse
import asyncio
import random
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.made import class_folders, flowers_cnn
from tests.integration.processes import system

CALLERS = 32
"""Who wait for their answers; fewer than the gateway takes at a time."""


@dataclass(frozen=True)
class Outcome:
    """What callers saw: milliseconds until each answer, by status, within so many seconds."""

    milliseconds: dict[int, list[float]]
    seconds: float

    def rate(self, status: int) -> float:
        return len(self.milliseconds.get(status, ())) / self.seconds

    def percentile(self, status: int, share: float) -> float:
        times = sorted(self.milliseconds.get(status, (0.0,)))
        return times[min(len(times) - 1, int(share * len(times)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a version's folder; made here unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        version = options.model or flowers_cnn(scratch)
        picture = next(class_folders(scratch / "ask", 1).rglob("*.jpg")).read_bytes()
        name = version.parent.name
        _, url = stack.enter_context(system(version.parent.parent, [name], scratch))
        address = f"{url}/v1/models/{name}:classify"
        asyncio.run(ask(address, picture, 2, CALLERS))
        rounds = [
            asyncio.run(compare(address, picture, options.seconds)) for _ in range(options.rounds)
        ]
    for figure in rounds[0]:
        values = [figures[figure] for figures in rounds]
        least, most = min(values), max(values)
        print(f"{figure}: {statistics.median(values):.2f} ({least:.2f} to {most:.2f})")


async def compare(address: str, picture: bytes, seconds: float) -> dict[str, float]:
    """One round: the capacity, then twice of it."""
    carried = await ask(address, picture, seconds, callers=CALLERS)
    capacity = carried.rate(200)
    crowd = await ask(address, picture, seconds, pace=2 * capacity)
    others = set(crowd.milliseconds) - {200, 429}
    if others:
        sys.exit(f"answers with status {sorted(others)}")
    return {
        "capacity, requests a second": capacity,
        "asked for, of the capacity": sum(crowd.rate(code) for code in (200, 429)) / capacity,
        "answered, of the capacity": crowd.rate(200) / capacity,
        "ms of those answered at the capacity, p99": carried.percentile(200, 0.99),
        "ms of those answered in the crowd, p99": crowd.percentile(200, 0.99),
        "ms of those refused, median": crowd.percentile(429, 0.5),
        "ms of those refused, p99": crowd.percentile(429, 0.99),
    }


async def ask(
    url: str, picture: bytes, seconds: float, callers: int = 0, pace: float = 0.0
) -> Outcome:
    """Asks for so long.

    Args:
        callers: that each wait for an answer before they ask again.
        pace: else requests a second, at random moments, whatever becomes of those before.
    """
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    head = f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\n"
    message = f"{head}Content-Length: {len(picture)}\r\n\r\n".encode() + picture
    asking = _Asking(host, int(port), message)
    end = time.monotonic() + seconds

    async def again_and_again() -> None:
        while time.monotonic() < end:
            await asking.once()

    if callers:
        await asyncio.gather(*(again_and_again() for _ in range(callers)))
        return Outcome(asking.milliseconds, seconds)
    chance, tasks = random.Random(0), []
    due = time.monotonic()
    while due < end:
        await asyncio.sleep(due - time.monotonic())
        tasks.append(asyncio.create_task(asking.once()))
        due += chance.expovariate(pace)
    await asyncio.gather(*tasks)
    return Outcome(asking.milliseconds, seconds)


class _Asking:
    """Sends one message again and again, over connections that it keeps."""

    def __init__(self, host: str, port: int, message: bytes) -> None:
        self.milliseconds: dict[int, list[float]] = {}
        self._address = (host, port)
        self._message = message
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def once(self) -> None:
        began = time.monotonic()
        connection = self._free.pop() if self._free else None
        reader, writer = connection or await asyncio.open_connection(*self._address)
        writer.write(self._message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
        self._free.append((reader, writer))
        took = (time.monotonic() - began) * 1000
        self.milliseconds.setdefault(int(head[9:12]), []).append(took)


if __name__ == "__main__":
    main()
