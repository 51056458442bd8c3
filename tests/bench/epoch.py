"""What an epoch of `lince train` costs against the bare Keras model, fitted on tensors in memory.

python -m tests.bench.epoch [--recipe NAME] [--data DIR] [--rounds N]

Both have the same network with the same augmentation, the same pictures, batches and validation.
The bare model's are tensors in memory, and nothing is kept of it; the fit reads them from the cache
on disk and writes its history and its state after each epoch, as always. Epochs take turns, one of
the fit and one of the bare model: the median of the pairs' ratios tells, and not the seconds, which
are the machine's.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import keras
import tensorflow as tf

from tests.bench.made import class_folders
from training.data.catalog import load
from training.data.dataset import DataRequest
from training.data.split import split
from training.fitting import fit, stages
from training.fitting.compiling import compile_model, wants_one_hot
from training.fitting.options import FitOptions
from training.networks.build import build
from training.recipes import find
from training.recipes.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="flowers-cnn", help="one without a backbone")
    parser.add_argument("--data", type=Path, help="class folders; made here unless given")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of epochs")
    parser.add_argument("--pictures", type=int, default=1_000, help="to be made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lince-bench-") as text:
        scratch = Path(text)
        folder = options.data or class_folders(scratch / "pictures", options.pictures)
        pairs = measure(find(options.recipe), folder, scratch, options.rounds)
    print(f"an epoch of lince train against one of the bare model, {len(pairs)} pairs:")
    clock = [ours.seconds / bare.seconds for ours, bare in pairs]
    processor = [ours.processor_seconds / bare.processor_seconds for ours, bare in pairs]
    for name, ratios in (("time", clock), ("processor time", processor)):
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"{name:14} {statistics.median(ratios):.3f} ({spread})")


@dataclass(frozen=True)
class Epoch:
    """What an epoch took: by the clock, and of all processors together."""

    seconds: float
    processor_seconds: float


def measure(recipe: Recipe, folder: Path, scratch: Path, rounds: int) -> list[tuple[Epoch, Epoch]]:
    """Returns each pair of epochs: of the fit, of the bare model."""
    (stage,) = recipe.stages
    # The first pair traces the graphs. Nothing is learned: numbers that go towards zero, as the
    # gradients of a batch known by heart, take another time to compute.
    optimizer = replace(stage.optimizer, learning_rate=0.0)
    stage = replace(stage, epochs=rounds + 1, optimizer=optimizer)
    recipe = replace(recipe, stages=(stage,), test_share=recipe.test_share or 0.1)
    cache, turns = scratch / "cache", Turns()
    with taking_turns(turns), ThreadPoolExecutor(1) as thread:
        bare = thread.submit(fit_bare, recipe, folder, cache, turns)
        bare.add_done_callback(lambda _: turns.end())
        options = FitOptions(given=folder)
        try:
            fit.train(recipe, options, runs=scratch / "runs", cache=cache, say=print)
        finally:
            turns.end()
        bare.result()
    return list(zip(turns.epochs["fit"], turns.epochs["bare"], strict=True))[1:]


class Turns:
    """Whose turn it is, and how long each took."""

    def __init__(self) -> None:
        self.epochs: dict[str, list[Epoch]] = {"fit": [], "bare": []}
        self._turn = "fit"
        self._ended = False
        self._change = threading.Condition()

    def end(self) -> None:
        """Says that one of the two has ended, or failed: the other need not wait for it."""
        with self._change:
            self._ended = True
            self._change.notify()

    def callbacks(self, name: str) -> tuple[keras.callbacks.Callback, keras.callbacks.Callback]:
        """The first and the last callback of a fit that takes its turn for each epoch."""
        began = processor = 0.0

        def begin(epoch: int, logs: object) -> None:
            nonlocal began, processor
            with self._change:
                self._change.wait_for(lambda: self._turn == name or self._ended)
            began, processor = time.perf_counter(), time.process_time()

        def end(epoch: int, logs: object) -> None:
            took = Epoch(time.perf_counter() - began, time.process_time() - processor)
            self.epochs[name].append(took)
            with self._change:
                self._turn = "bare" if name == "fit" else "fit"
                self._change.notify()

        make = keras.callbacks.LambdaCallback
        return make(on_epoch_begin=begin), make(on_epoch_end=end)


@contextmanager
def taking_turns(turns: Turns) -> Iterator[None]:
    """Has the fit take turns; its own callbacks, and what they cost, stay in between."""
    own = stages._callbacks
    first, last = turns.callbacks("fit")
    with mock.patch.object(stages, "_callbacks", lambda *given: [first, *own(*given), last]):
        yield


def fit_bare(recipe: Recipe, folder: Path, cache: Path, turns: Turns) -> None:
    request = DataRequest(name=recipe.data, spec=recipe.input, given=folder, cache=cache)
    data = load(request, str)
    classes = len(data.labels)
    parts = split(
        data,
        validation_share=recipe.validation_share,
        test_share=recipe.test_share,
        seed=recipe.seed,
    )
    model = build(recipe, classes).fit
    compile_model(model, recipe, recipe.stages[0].optimizer, classes, steps=1)
    learn, check = (
        (tf.constant(data.inputs[part]), targets(data.targets[part], recipe, classes))
        for part in (parts.train, parts.validation)
    )
    model.fit(
        *learn,
        batch_size=recipe.batch,
        epochs=recipe.epochs,
        validation_data=check if len(parts.validation) else None,
        callbacks=list(turns.callbacks("bare")),
        verbose=0,
    )


def targets(numbers: object, recipe: Recipe, classes: int) -> tf.Tensor:
    return tf.one_hot(numbers, classes) if wants_one_hot(recipe, classes) else tf.constant(numbers)


if __name__ == "__main__":
    main()
