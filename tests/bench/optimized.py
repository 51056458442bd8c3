"""What an optimised export saves: CPU time of the model itself, as a share of the plain one's.

python -m tests.bench.optimized [--run RUN_FOLDER] [--rounds N]

A run (flowers-cnn for a few steps, unless given) is exported plainly and optimised, and both run as
the embedded model server runs them, on one thread. They take turns; the median of the rounds'
ratios tells, and not the milliseconds, which are the machine's.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from contract.processor import bfloat16_instructions
from contract.run_folder import RunFolder
from export.artifact import export
from server.model_server.servable import Servable, SessionSettings, load
from tests.bench.made import flowers_cnn

BATCHES = (1, 8, 16)
#: Images in each measurement.
IMAGES = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a complete run's folder; made here unless given")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lince-bench-") as scratch:
        run = options.run or _made(Path(scratch))
        kinds = _loaded(RunFolder(run), Path(scratch) / "exported")
        for batch in BATCHES:
            for name, spent in _measured(kinds, batch, options.rounds).items():
                print(f"batch {batch:2}, {name:15} {spent}")


def _made(scratch: Path) -> Path:
    flowers_cnn(scratch)
    (run,) = (scratch / "runs" / "flowers-cnn").iterdir()
    return run


def _loaded(run: RunFolder, models: Path) -> dict[str, Servable]:
    plain, _ = export(run, models, "m")
    optimised, _ = export(run, models, "m", max_change=1.0)
    wanted = {
        "plain": (plain, "none"),
        "frozen": (optimised, "none"),
        "plain bfloat16": (plain, "bfloat16"),
        "frozen bfloat16": (optimised, "bfloat16"),
    }
    if bfloat16_instructions() is None:
        print("this CPU can't multiply bfloat16: not measured")
        wanted = {name: kind for name, kind in wanted.items() if kind[1] == "none"}
    return {
        name: load(
            version.number,
            str(version.folder),
            SessionSettings(mixed_precision=choice, intra_op_threads=1, inter_op_threads=1),
        )
        for name, (version, choice) in wanted.items()
    }


def _measured(kinds: dict[str, Servable], batch: int, rounds: int) -> dict[str, str]:
    """For each kind its CPU time as a share of the first one's, and in milliseconds per image."""
    for served in kinds.values():
        _cpu_ms(served, batch, batch * 3)  # prepares the graph
    found = [{name: _cpu_ms(s, batch, IMAGES) for name, s in kinds.items()} for _ in range(rounds)]
    first = next(iter(kinds))
    shown = {}
    for name in kinds:
        ratios = [figures[name] / figures[first] for figures in found]
        spent = statistics.median(figures[name] for figures in found)
        low, high = min(ratios), max(ratios)
        median = statistics.median(ratios)
        shown[name] = f"{median:.2f} ({low:.2f} to {high:.2f}), {spent:.2f} ms of CPU per image"
    return shown


def _cpu_ms(served: Servable, batch: int, images: int) -> float:
    signature = served.signatures["serving_default"]
    ((_, taken),) = signature.inputs.items()
    row = [dim.size for dim in taken.tensor_shape.dim][1:]
    feeds = {taken.name: np.random.default_rng(0).integers(0, 256, (batch, *row), np.uint8)}
    fetches = [info.name for info in signature.outputs.values()]
    began = time.process_time()
    for _ in range(images // batch):
        served.run(feeds, fetches)
    return (time.process_time() - began) * 1000 / images


if __name__ == "__main__":
    main()
