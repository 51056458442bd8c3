"""What reading costs an epoch of flowers-cnn: real data against one batch that stays in memory.

python -m tests.bench.input_pipeline [--data DIR] [--rounds N]

Both fit the same network for the same number of steps, in turn, in short epochs and many pairs: the
median of the pairs' ratios tells, and not the seconds, which are the machine's.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.bench.made import class_folders
from training.data.catalog import load
from training.data.dataset import DataRequest
from training.fitting import stream
from training.fitting.stream import Examples
from training.networks.build import build
from training.recipes import find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="class folders; made here unless given")
    parser.add_argument("--rounds", type=int, default=20, help="pairs of epochs")
    parser.add_argument("--pictures", type=int, default=1_000, help="to be made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lince-bench-") as scratch:
        folder = options.data or class_folders(Path(scratch) / "pictures", options.pictures)
        measure(folder, Path(scratch) / "cache", options.rounds)


#: Of an epoch here: machines change their speed from one minute to the next.
STEPS = 24


def measure(folder: Path, cache: Path, rounds: int) -> None:
    recipe = find("flowers-cnn")
    request = DataRequest(name="flowers", spec=recipe.input, given=folder, cache=cache)
    data = load(request, print)
    model = build(recipe, len(data.labels)).fit
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Nothing is learned: a batch known by heart has gradients that take another time to compute.
    adam = keras.optimizers.Adam(learning_rate=0.0)
    model.compile(adam, loss=loss, metrics=["accuracy"])
    positions = np.random.default_rng(1).permutation(len(data.targets))[: STEPS * recipe.batch]
    examples = Examples(data.inputs, data.targets, np.sort(positions))
    steps = len(positions) // recipe.batch
    batch = next(iter(stream.in_order(examples, recipe.batch)))

    def real(number: int) -> tf.data.Dataset:
        return stream.shuffled(
            examples, recipe.batch, first_epoch=number, epochs=number + 1, seed=recipe.seed
        )

    def constant(_: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(batch).cache().repeat()

    seconds: dict[str, list[float]] = {"real": [], "constant": []}
    both = [("real", real), ("constant", constant)]
    for number in range(rounds + 1):
        for name, source in both[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            model.fit(source(number), steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
            if number:  # the first of each traces the graph
                seconds[name].append(time.perf_counter() - began)
    for name, each in seconds.items():
        print(f"{name:9} {statistics.median(each):7.2f} s an epoch of {steps} steps")
    pairs = [one / other for one, other in zip(seconds["real"], seconds["constant"], strict=True)]
    print(
        f"an epoch on real data takes {statistics.median(pairs):.3f} times one on a constant batch"
        f" (median of {rounds} pairs, {min(pairs):.3f} to {max(pairs):.3f})"
    )


if __name__ == "__main__":
    main()
