"""The limit: decode, resize and the model, in as many processes as there are cores.

No HTTP, no gRPC, nothing waits for anything: what the machine allows, in requests per second.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from contract.quiet import quiet_import
from tests.bench.whole.models import Model

BATCHES = (8, 16, 32)
_TRY_SECONDS = 1.0


@dataclass(frozen=True)
class Rate:
    """Images per second of all processes together, and CPU milliseconds per image."""

    images: float
    cpu_ms: float


@dataclass(frozen=True)
class Parts:
    """Milliseconds of one image's way, in one process: medians."""

    decode: float
    model_alone: float
    model_in_batch: float


class Limit:
    """The processes, which wait for what to do."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes
        self.batch = max(BATCHES, key=lambda batch: self._rate(batch, _TRY_SECONDS).images)

    def rate(self, seconds: float) -> Rate:
        """Measures at the batch size that was the fastest at the start."""
        return self._rate(self.batch, seconds)

    def _rate(self, batch: int, seconds: float) -> Rate:
        done = self._all("rate", batch, seconds)
        return Rate(
            images=sum(images / spent for images, spent, _ in done),
            cpu_ms=sum(cpu for *_, cpu in done) * 1000 / sum(images for images, *_ in done),
        )

    def parts(self) -> Parts:
        """Measures in one process while the others wait."""
        self._pipes[0].send(("parts", self.batch))
        return Parts(*self._pipes[0].recv())

    def answers(self) -> list[list[float]]:
        """The probabilities of each picture, computed one by one."""
        self._pipes[0].send(("answers",))
        return list(self._pipes[0].recv())

    def _all(self, *order: Any) -> list[Any]:
        for pipe in self._pipes:
            pipe.send(order)
        return [pipe.recv() for pipe in self._pipes]


@contextmanager
def limit(model: Model, pictures: Sequence[Path], cores: Sequence[int]) -> Iterator[Limit]:
    """Starts a process for each of these cores."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], list[BaseProcess]()
    try:
        for _ in cores:
            ours, theirs = context.Pipe()
            arguments = (theirs, str(model.version), [str(file) for file in pictures], list(cores))
            started.append(context.Process(target=_serve, args=arguments, daemon=True))
            started[-1].start()
            pipes.append(ours)
            theirs.close()
        for pipe in pipes:
            pipe.recv()
        yield Limit(pipes)
    finally:
        for process in started:
            process.kill()
            process.join()


def _serve(pipe: Connection, version: str, files: list[str], cores: list[int]) -> None:
    os.sched_setaffinity(0, cores)
    work = _Work(Model(Path(version)), [Path(file).read_bytes() for file in files])
    pipe.send("ready")
    while True:
        try:
            name, *arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(getattr(work, name)(*arguments))


class _Work:
    """What one of the processes can do."""

    def __init__(self, model: Model, data: list[bytes]) -> None:
        with quiet_import():
            import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._constant = tf.constant
        self._loaded = tf.saved_model.load(str(model.version))  # who drops it drops its variables
        self._run = self._loaded.signatures["serving_default"]
        self._spec = model.pixels
        self._data = data

    def rate(self, batch: int, seconds: float) -> tuple[int, float, float]:
        self._batch(0, batch)
        images, began, cpu = 0, time.monotonic(), time.process_time()
        while (spent := time.monotonic() - began) < seconds:
            self._batch(images, batch)
            images += batch
        return images, spent, time.process_time() - cpu

    def parts(self, batch: int) -> tuple[float, float, float]:
        one, many = self._pixels(0, 1), self._pixels(0, batch)
        return (
            _median_ms(lambda n: self._pixels(n, 1)),
            _median_ms(lambda _: self._model(one)),
            _median_ms(lambda _: self._model(many)) / batch,
        )

    def answers(self) -> list[list[float]]:
        return [self._batch(n, 1)[0].tolist() for n in range(len(self._data))]

    def _batch(self, first: int, count: int) -> Any:
        return self._model(self._pixels(first, count))

    def _pixels(self, first: int, count: int) -> Any:
        import numpy as np

        from contract.pixels import decode

        numbers = (number % len(self._data) for number in range(first, first + count))
        return np.stack([decode(self._data[number], self._spec) for number in numbers])

    def _model(self, pixels: Any) -> Any:
        return self._run(images=self._constant(pixels))["probabilities"].numpy()


def _median_ms(what: Any, times: int = 60) -> float:
    taken = []
    for number in range(times):
        began = time.perf_counter()
        what(number)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[5:])
