"""What the embedded model server costs: callers' images per second against the model itself.

python -m tests.bench.serving [--model VERSION_FOLDER] [--rounds N] [--seconds S]

The same SavedModel (flowers-cnn, unless given) runs directly in this process, at its best batch
size, and in servers on this machine, whose callers share its cores. All of it takes turns, many
times; the median of the rounds' ratios tells, and not the images per second, which are the
machine's. Callers send requests that are ready as bytes, so what they cost is gRPC's own.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from server.model_server.servable import Servable, SessionSettings, load
from tests.bench.made import class_folders

BATCHES = (8, 16, 32, 64)
BATCHING = """
max_batch_size { value: 32 }
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 16 }
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
        version = options.model or made_model(scratch)
        parameters = scratch / "batching.pbtxt"
        parameters.write_text(BATCHING % (os.cpu_count() or 1))
        # As many batches at a time as there are cores need no more threads within each.
        batched = (
            "--enable_batching",
            f"--batching_parameters_file={parameters}",
            "--tensorflow_intra_op_parallelism=1",
        )
        alone = stack.enter_context(server(version, scratch / "alone.log"))
        together = stack.enter_context(server(version, scratch / "batched.log", *batched))
        measure(Direct(version), alone, together, options.rounds, options.seconds)


def made_model(scratch: Path) -> Path:
    """Train flowers-cnn for a few steps and export it; what it has learned doesn't matter."""
    pictures = class_folders(scratch / "pictures", 60)
    environment = {**os.environ, "LINCE_CACHE_DIR": str(scratch / "cache")}
    for words in (("train", "flowers-cnn", "--data", str(pictures), "--tiny"),
                  ("export", "flowers-cnn")):  # fmt: skip
        command = [sys.executable, "-m", "lince", *words]
        subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True)
    return scratch / "models" / "flowers-cnn" / "1"


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
        self._servable: Servable = load(int(version.name), str(version), SessionSettings())
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

    def requests(self, images: int) -> list[bytes]:
        """Some requests of so many images each, as bytes."""
        return [self._request(self.images[n : n + images]) for n in range(0, 32, images)]

    def _request(self, images: np.ndarray) -> bytes:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs[self.alias].CopyFrom(tf.make_tensor_proto(images))
        return bytes(request.SerializeToString())


def calls(address: str, requests: Sequence[bytes], callers: int, seconds: float) -> float:
    """Calls per second that so many callers make together, each on a connection of its own."""
    counts = [0] * callers
    start, end = threading.Barrier(callers + 1), threading.Event()

    def work(number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options=options) as channel:
            call = channel.unary_unary(METHOD)
            call(requests[0])
            start.wait()
            while not end.is_set():
                call(requests[(number + counts[number]) % len(requests)])
                counts[number] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    end.wait(seconds)
    end.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def measure(direct: Direct, alone: Server, together: Server, rounds: int, seconds: float) -> None:
    best = max(BATCHES, key=lambda batch: direct.rate(batch, seconds)[0])
    sixteen, single = direct.requests(16), direct.requests(1)
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for _ in range(rounds):
        images, _ = direct.rate(best, seconds)
        note("4 callers, 16 images a call", calls(alone.address, sixteen, 4, seconds) * 16 / images)
        note(
            "32 callers, 1 image a call, batching on",
            calls(together.address, single, 32, seconds) / images,
        )
        note("added", added_milliseconds(direct, alone, single, seconds))
    added = found.pop("added")
    print(f"images per second, of what the model does itself at {best} a batch:")
    for name, ratios in found.items():
        print(f"  {name}: {_spread(ratios)}")
    print(f"CPU that a call of 1 image adds, ms: {_spread(added)}")


def added_milliseconds(
    direct: Direct, server: Server, requests: Sequence[bytes], seconds: float
) -> float:
    """What a call of one image costs the server more than the run itself costs."""
    _, run = direct.rate(1, seconds)
    before = server.cpu_seconds()
    made = calls(server.address, requests, 1, seconds) * seconds
    return (server.cpu_seconds() - before) * 1000 / made - run


def _spread(values: Sequence[Any]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
