"""The whole system, from a picture on the wire to its answer: Lince, the limit, and peers.

python -m tests.bench.whole [--quick] [--peers] [--growth] [--optimized VERSION_FOLDER]

Models and pictures are made here. First each system runs alone: how soon it is ready, whether it
answers all pictures as the model does, its memory. Then all of them take turns, round by round, at
1, 8 and 32 clients: the ratios of a round tell, and not the requests per second, which are the
machine's. Load is wrk's. What comes out is in docs/performance.json, from which
docs/performance.md's tables and pictures are made. --quick only prints it.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version as installed
from pathlib import Path

from tests.bench.peers.table import PEERS, Peer
from tests.bench.whole import growth, pictures, report, results
from tests.bench.whole.epochs import epochs
from tests.bench.whole.lince_up import OF_ALL_CORES, lince
from tests.bench.whole.models import Model, made, takes
from tests.bench.whole.results import Results, Workload
from tests.bench.whole.rounds import Plan, measured
from tests.bench.whole.systems import all_cores
from tests.integration import processes

RESULTS = Path(__file__).parents[3] / "docs" / "performance.json"
#: Each measurement's seconds, and the rounds.
FULL, QUICK = (6, 5), (2, 2)
_OPTIMIZED = "Lince, optimized"
_WORKERS = "Lince, a worker per core"


def main() -> None:
    options = _options()
    seconds, rounds = QUICK if options.quick else FULL
    seconds, rounds = options.seconds or seconds, options.rounds or rounds
    with ExitStack() as stack:
        folder = options.work or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-"))
        )
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        bench = Bench(options, folder, scratch, seconds, rounds)
        found = Results(
            cores=len(all_cores()),
            machine=_machine(),
            versions=_versions(),
            seconds=seconds,
            rounds=rounds,
            workloads=[],
        )
        for name in options.only:
            found = replace(found, workloads=[*found.workloads, bench.workload(name)])
            _keep(found, options)  # whatever becomes of the rest
        if not options.quick:
            found = replace(
                found,
                gateway_ready_seconds=bench.gateway_starts(),
                epochs=epochs(folder / "epochs", scratch, rounds),
            )
            _keep(found, options)
        if options.growth:
            found = replace(found, growth=bench.growth())
            _keep(found, options)
    print(report.in_short(found))


def _keep(found: Results, options: argparse.Namespace) -> None:
    if options.out:
        results.write(found, options.out)
    if options.out == RESULTS:
        report.write(found, RESULTS.parent)


class Bench:
    """The parts of a run."""

    def __init__(
        self, options: argparse.Namespace, folder: Path, scratch: Path, seconds: int, rounds: int
    ) -> None:
        self._options, self._folder, self._scratch = options, folder, scratch
        self._seconds, self._rounds = seconds, rounds
        self._peers: Sequence[Peer] = PEERS if options.peers else ()
        for peer in self._peers:
            peer.install()

    def workload(self, name: str) -> Workload:
        """One of WORKLOADS."""
        return getattr(self, f"_{name}")()

    def _flowers(self) -> Workload:
        model = self._flowers_cnn()
        files = pictures.photographs(self._folder / "photographs")
        more, others = [], []
        if (optimized := self._optimized(model)) is not None:
            more.append((lince(optimized[0], self._scratch, _OPTIMIZED), optimized[1]))
            others.append(_OPTIMIZED)
        return self._measured("photographs", model, files, model, more, others)

    def _fashion(self) -> Workload:
        model = made("fashion-cnn", self._folder / "plain")
        files = pictures.thumbnails(self._folder / "thumbnails")
        return self._measured("28×28", model, files, model)

    def _camera(self) -> Workload:
        """Lince serves a model of the rule for large pictures; peers decode as ever."""
        plain, model = self._flowers_cnn(), self._flowers_cnn()
        if takes("train", "--pixel-rule"):
            model = made("flowers-cnn", self._folder / "scaled", "--pixel-rule", "2")
        files = pictures.camera(self._folder / "camera")
        return self._measured("12 MP photographs", model, files, plain)

    def _measured(
        self,
        name: str,
        model: Model,
        files: Sequence[Path],
        of_peers: Model,
        more: Sequence[tuple[object, Model]] = (),
        others: Sequence[str] = (),
    ) -> Workload:
        systems = [(lince(model, self._scratch), model), *more]
        if not self._options.quick:
            workers = lince(model, self._scratch, _WORKERS, OF_ALL_CORES)
            systems.append((workers, model))
        systems += [(peer.system(of_peers), of_peers) for peer in self._peers]
        plan = Plan(
            name=name,
            model=model,
            pictures=files,
            systems=systems,
            others=frozenset(others),
            rounds=self._rounds,
            seconds=self._seconds,
        )
        return measured(plan, self._scratch)

    def gateway_starts(self, times: int = 3) -> list[float]:
        """How long a gateway takes to be ready where the model server is there already."""
        model, found = self._flowers_cnn(), []
        with processes.model_server(model.models, [model.name], self._scratch) as (_, address):
            for _ in range(times):
                began = time.monotonic()
                with processes.gateway([model.name], address, self._scratch):
                    found.append(time.monotonic() - began)
        return found

    def growth(self) -> list[results.Growth]:
        model = self._flowers_cnn()
        files = pictures.photographs(self._folder / "photographs")
        seconds, scratch = self._seconds, self._scratch
        return [
            *growth.with_clients(model, files, seconds, scratch),
            *growth.with_pictures(model, seconds, scratch),
            *growth.with_models(files, seconds, self._folder / "plain", scratch),
            *growth.with_cores(model, files, seconds, self._rounds, scratch),
        ]

    def _flowers_cnn(self) -> Model:
        return made("flowers-cnn", self._folder / "plain")

    def _optimized(self, plain: Model) -> tuple[Model, Model] | None:
        """The optimised version, and the model whose answers it is held against."""
        if self._options.optimized:
            given = Model(self._options.optimized.absolute())
            return given, given
        if self._options.quick or not takes("export", "--optimize"):
            return None
        of_same_run = self._folder / "plain"
        model = made("flowers-cnn", of_same_run, export=("--optimize",), models="optimized")
        return model, plain


WORKLOADS = ("flowers", "fashion", "camera")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.bench.whole",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="Lince and the limit, in 3 minutes")
    parser.add_argument("--peers", action="store_true", help="other servers too; installs them")
    parser.add_argument(
        "--growth", action="store_true", help="with clients, pictures, models, cores"
    )
    parser.add_argument(
        "--optimized", type=Path, help="a version that lince export --optimize made"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=WORKLOADS,
        metavar="WORKLOAD",
        help=f"of {', '.join(WORKLOADS)}",
    )
    parser.add_argument("--seconds", type=int, help="of each measurement")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--work", type=Path, help="keep models and pictures here, and reuse them")
    parser.add_argument("--out", type=Path, help="instead of docs/performance.json")
    options = parser.parse_args()
    options.only = options.only or (WORKLOADS[:2] if options.quick else WORKLOADS)
    if options.out is None and not options.quick:
        options.out = RESULTS
    return options


def _machine() -> str:
    flags = Path("/proc/cpuinfo").read_text().split() if sys.platform == "linux" else []
    shown = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return f"{platform.machine()} with {', '.join(shown) or 'nothing special'}"


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "pillow", "numpy", "granian", "grpcio")
    return {"python": platform.python_version(), **{name: installed(name) for name in packages}}


if __name__ == "__main__":
    main()
