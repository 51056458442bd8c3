"""What the embedded model server costs: callers' images per second against the model itself.

python -m tests.bench.serving [--model VERSION_FOLDER] [--rounds N] [--seconds S]

The same SavedModel (flowers-cnn, unless given) runs directly in this process, at its best batch
size, and in servers on this machine, whose callers share its cores. All of it takes turns, many
times; the median of the rounds' ratios tells, and not the images per second, which are the
machine's. The callers are h2load's, a native program; what they cost is printed too.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from server.model_server import servable
from tests.bench.grpc_load import Load, load
from tests.bench.made import flowers_cnn

BATCHES = (8, 16, 32, 64)
BATCHING = """
max_batch_size { value: 32 }
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 8 }
batch_timeout_micros { value: 5000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: %d }
"""
METHOD = "/tensorflow.serving.PredictionService/Predict"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a version's folder; made here unless given")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        version = options.model or flowers_cnn(scratch)
        parameters = scratch / "batching.pbtxt"
        parameters.write_text(BATCHING % (os.cpu_count() or 1))
        # As many calls or batches at a time as there are cores need no more threads within each.
        threads = "--tensorflow_intra_op_parallelism=1"
        batched = (
            "--enable_batching",
            f"--batching_parameters_file={parameters}",
            "--tensorflow_inter_op_parallelism=-1",
        )
        alone = stack.enter_context(server(version, scratch / "alone.log", threads))
        together = stack.enter_context(server(version, scratch / "batched.log", threads, *batched))
        bench = Bench(Direct(version), alone, together, options.seconds, scratch)
        measure(bench, options.rounds)


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of the process and those it watches over."""
        ticks = 0
        for pid in (self.pid, *_children(self.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def server(version: Path, log: Path, *flags: str) -> Iterator[Server]:
    command = [
        *(sys.executable, "-m", "lince", "model-server", "--port=0", "--model_name=m"),
        f"--model_base_path={version.parent.absolute()}",
        *flags,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output, stdout=output)
    try:
        line = re.compile(r"Running gRPC ModelServer at (\S+)")
        while not (found := line.search(log.read_text(errors="replace"))):
            if process.poll() is not None:
                sys.exit(log.read_text(errors="replace"))
            time.sleep(0.1)
        yield Server(found[1], process.pid)
    finally:
        process.terminate()
        process.wait()


class Direct:
    """The model in this process, fed with random images."""

    def __init__(self, version: Path) -> None:
        self._servable = servable.load(int(version.name), str(version), servable.SessionSettings())
        signature = self._servable.signatures["serving_default"]
        ((self.alias, self._input),) = signature.inputs.items()
        self._outputs = [info.name for info in signature.outputs.values()]
        row = [dim.size for dim in self._input.tensor_shape.dim][1:]
        self.images = np.random.default_rng(0).integers(0, 256, (max(BATCHES), *row), np.uint8)

    def rate(self, batch: int, seconds: float) -> tuple[float, float]:
        """Images per second, and this process's CPU milliseconds per image."""
        feeds = {self._input.name: self.images[:batch]}
        self._servable.run(feeds, self._outputs)
        count, began, cpu = 0, time.monotonic(), time.process_time()
        while (spent := time.monotonic() - began) < seconds:
            self._servable.run(feeds, self._outputs)
            count += batch
        return count / spent, (time.process_time() - cpu) * 1000 / count

    def request(self, images: int) -> bytes:
        """A Predict request of so many images."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs[self.alias].CopyFrom(tf.make_tensor_proto(self.images[:images]))
        return bytes(request.SerializeToString())


@dataclass(frozen=True)
class Bench:
    """One measurement after the other, each of so many seconds."""

    direct: Direct
    alone: Server
    together: Server
    seconds: float
    scratch: Path

    def round(self, batch: int) -> dict[str, float]:
        """Each figure once."""
        images, _ = self.direct.rate(batch, self.seconds)
        sixteen = self._load(self.alone, 16, callers=4)
        single = self._load(self.together, 1, callers=32)
        return {
            "images per second, of what the model itself does\n"
            "    4 callers, 16 images a call": sixteen.rate * 16 / images,
            "    32 callers, 1 image a call, batching on": single.rate / images,
            "CPU ms a call of one image\n    adds to the model's own": self._added(),
            "    costs its caller, of 32": single.client_cpu_seconds * 1000 / single.calls,
        }

    def _load(self, server: Server, images: int, callers: int) -> Load:
        message = self.direct.request(images)
        return load(server.address, METHOD, message, callers, self.seconds, self.scratch)

    def _added(self) -> float:
        _, run = self.direct.rate(1, self.seconds)
        before = self.alone.cpu_seconds()
        made = self._load(self.alone, 1, callers=1).calls
        return (self.alone.cpu_seconds() - before) * 1000 / made - run


def measure(bench: Bench, rounds: int) -> None:
    """Print each figure's median, least and greatest value."""
    best = max(BATCHES, key=lambda batch: bench.direct.rate(batch, bench.seconds)[0])
    print(f"{rounds} rounds; the model itself is fastest at {best} images")
    found = [bench.round(best) for _ in range(rounds)]
    for name in found[0]:
        print(f"{name}: {_spread([figures[name] for figures in found])}")


def _spread(values: Sequence[Any]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
