"""What the CPU time of a request is spent on, in Lince and at the limit, part by part.

python -m tests.bench.gap [--recipe NAME] [--clients N ...] [--seconds S] [--work FOLDER]

perf looks into the processes a thousand times a second while wrk puts load on them, and each look
counts for the library, or the kernel, that was found at work. It needs wrk and perf (Debian,
Ubuntu: apt install wrk linux-perf), and leave to look into one's own processes
(kernel.perf_event_paranoid of 2 or less).
"""

import argparse
import multiprocessing
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.whole.beside import add_options, beside_the_limit
from tests.bench.whole.lince_up import GATEWAY, MODEL_SERVER

#: Beginnings of the names of what is mapped into a process, as perf tells them, and whose they are.
PARTS = {
    "decode and resize": ("_imaging", "libjpeg", "libpng", "libz", "libtiff", "libwebp"),
    "the model: TensorFlow, oneDNN's kernels": ("libtensorflow", "[JIT]", "_pywrap", "lib_pywrap"),
    "Python": ("libpython", "python"),
    "HTTP server (granian)": ("_granian",),
    "gRPC and Protobuf": ("cygrpc", "_message", "_upb"),
    "NumPy": ("_multiarray_umath",),
    "kernel: network, waking, memory": ("[kernel", "[vdso]"),
    "C library: copies, memory": ("libc.",),
}
OTHERS = "other libraries"
_LIMIT = "the limit"
_WARM_SECONDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tests.bench.gap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--clients", type=int, nargs="+", default=[32, 1])
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    options = parser.parse_args()
    if shutil.which("perf") is None:
        sys.exit("the benchmark needs perf (Debian, Ubuntu: apt install linux-perf)")
    with beside_the_limit(options) as both:
        machine, started, scratch = both.machine, both.lince, both.scratch
        started.load(max(options.clients), seconds=_WARM_SECONDS)
        workers = {child.pid or 0: _LIMIT for child in multiprocessing.active_children()}
        with _looked_at(workers, scratch) as counts:
            least = {_LIMIT: machine.rate(options.seconds).cpu_ms}
        allowed = _parts(counts, least)
        for clients in options.clients:
            with _looked_at(started.processes(), scratch) as counts:
                used = started.load(clients, seconds=options.seconds)
            print(f"\n{options.recipe}, {clients} clients, CPU ms of a request:\n")
            print(_table(allowed[_LIMIT], _parts(counts, used.cpu_ms)))


@contextmanager
def _looked_at(roles: Mapping[int, str], scratch: Path) -> Iterator[dict[str, Counter[str]]]:
    """Looks into processes, each of a role, for as long as the context lasts.

    Afterwards what it gave tells, by role, how often each part was found at work.
    """
    counts: dict[str, Counter[str]] = {}
    files = {role: scratch / f"{role}.perf" for role in roles.values()}
    watching = []
    for role, file in files.items():
        pids = ",".join(str(pid) for pid, its in roles.items() if its == role)
        command = ("perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-o", str(file))
        watching.append(subprocess.Popen((*command, "-p", pids), stderr=subprocess.PIPE))
    try:
        yield counts
    finally:
        for perf in watching:
            perf.send_signal(signal.SIGINT)
        said = [perf.communicate()[1] for perf in watching]
    for (role, file), error in zip(files.items(), said, strict=True):
        if not file.exists():
            sys.exit(f"perf found nothing: {error.decode().strip()}")
        counts[role] = _counted(file)


def _counted(file: Path) -> Counter[str]:
    command = ("perf", "report", "-i", str(file), "--stdio", "--no-children", "-t", "|")
    counts: Counter[str] = Counter()
    lines = subprocess.run((*command, "-F", "sample,dso"), check=True, capture_output=True).stdout
    for line in lines.decode(errors="replace").splitlines():
        if line.strip() and not line.startswith("#"):
            count, dso = line.split("|", 1)
            counts[_part(dso.strip())] += int(count)
    return counts


def _part(dso: str) -> str:
    found = (part for part, names in PARTS.items() if dso.startswith(names))
    return next(found, OTHERS)


def _parts(
    counts: Mapping[str, Counter[str]], cpu_ms: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Milliseconds of each part, by role: its share of the looks, of the CPU time of the role."""
    return {
        role: {part: ms * count / counts[role].total() for part, count in counts[role].items()}
        for role, ms in cpu_ms.items()
        if counts.get(role)
    }


def _table(allowed: Mapping[str, float], found: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each part; Lince's whole besides the limit's, and what is between them."""
    heads = ("part", _LIMIT, GATEWAY, MODEL_SERVER, "Lince, above the limit")
    rows = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    total = [0.0] * 4
    for part in (*PARTS, OTHERS):
        least = allowed.get(part, 0.0)
        ours = [found.get(role, {}).get(part, 0.0) for role in (GATEWAY, MODEL_SERVER)]
        row = [least, *ours, sum(ours) - least]
        total = [one + more for one, more in zip(total, row, strict=True)]
        rows.append(_row(part, row))
    return "\n".join([*rows, _row("together", total)])


def _row(name: str, values: list[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


if __name__ == "__main__":
    main()
