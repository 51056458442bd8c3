"""Twice the load that the gateway can carry: what becomes of those it takes, and of the rest.

python -m tests.bench.overload [--model VERSION_FOLDER] [--rounds N] [--seconds S]

Callers that wait for their answer before they ask again show the capacity. Then callers ask at
twice that pace, whatever the answers. Both take turns; each figure is the median of the rounds.
The load is made by h2load, with photographs of 256×192 and flowers-cnn unless another is given.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.made import class_folders, flowers_cnn
from tests.integration.processes import system

CLOSED, OPEN = 32, 200
"""Connections of the two kinds of callers."""


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
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    options = parser.parse_args()
    if shutil.which("h2load") is None:
        sys.exit("the benchmark needs h2load, of nghttp2 (Debian: nghttp2-client)")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        version = options.model or flowers_cnn(scratch)
        picture = next(class_folders(scratch / "ask", 1).rglob("*.jpg"))
        name = version.parent.name
        _, url = stack.enter_context(system(version.parent.parent, [name], scratch))
        address = f"{url}/v1/models/{name}:classify"
        ask(address, picture, scratch, CLOSED, 2)
        rounds = [
            compare(address, picture, scratch, options.seconds) for _ in range(options.rounds)
        ]
    for figure in rounds[0]:
        values = [figures[figure] for figures in rounds]
        least, most = min(values), max(values)
        print(f"{figure}: {statistics.median(values):.2f} ({least:.2f} to {most:.2f})")


def compare(address: str, picture: Path, scratch: Path, seconds: int) -> dict[str, float]:
    """One round: the capacity, then twice of it."""
    carried = ask(address, picture, scratch, CLOSED, seconds)
    capacity = carried.rate(200)
    crowd = ask(address, picture, scratch, OPEN, seconds, pace=2 * capacity)
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


def ask(
    address: str, picture: Path, scratch: Path, callers: int, seconds: int, pace: float = 0.0
) -> Outcome:
    """So many callers ask for so long; each waits for its answer, and for the pace if there is one.

    Args:
        pace: requests a second of all together; 0 for as fast as they are answered.
    """
    log = scratch / "h2load.log"
    log.unlink(missing_ok=True)
    command = [
        *("h2load", "--h1", f"--clients={callers}", f"--duration={seconds}", f"--data={picture}"),
        *("-H", "content-type: image/jpeg", f"--log-file={log}", address),
    ]
    if pace:
        command.insert(1, f"--rps={pace / callers:.3f}")
    subprocess.run(command, check=True, capture_output=True)
    milliseconds: dict[int, list[float]] = {}
    for line in log.read_text().splitlines():
        _, status, microseconds = line.split()
        milliseconds.setdefault(int(status), []).append(int(microseconds) / 1000)
    return Outcome(milliseconds, seconds)


if __name__ == "__main__":
    main()
