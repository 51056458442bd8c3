"""What a head on a frozen backbone costs: 20 epochs on cached features, in passes over the images.

python -m tests.bench.feature_cache [--data DIR] [--weights FILE --alpha A] [--epochs N]

A pass is each picture once through the backbone, measured before and after; the fit is
mobilenet-v2-transfer's, its features and all.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from tests.bench.made import class_folders
from training.data.catalog import load
from training.data.dataset import DataRequest, DataSet
from training.fitting.fit import train
from training.fitting.options import FitOptions, apply
from training.networks.build import build
from training.recipes import find

RECIPE = "mobilenet-v2-transfer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="class folders; made here unless given")
    parser.add_argument("--weights", default="none", help="as in lince train")
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=1_000, help="to be made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lince-bench-") as scratch:
        root = Path(scratch)
        folder = options.data or class_folders(root / "pictures", options.pictures)
        chosen = FitOptions(
            given=folder, weights=options.weights, alpha=options.alpha, epochs=options.epochs
        )
        measure(chosen, root)


def measure(options: FitOptions, root: Path) -> None:
    recipe = apply(find(RECIPE), options)
    request = DataRequest(
        name="flowers", spec=recipe.input, given=options.given, cache=root / "cache"
    )
    data = load(request, print)
    extractor = build(recipe, len(data.labels)).extractor
    assert extractor is not None
    run = tf.function(lambda pixels: extractor(pixels, training=False), reduce_retracing=True)
    one_pass(run, replace(data, inputs=data.inputs[:128]))  # traces the graph
    passes = [one_pass(run, data)]
    began = time.perf_counter()
    train(find(RECIPE), options, runs=root / "runs", cache=root / "cache", say=print)
    fit = time.perf_counter() - began
    passes.append(one_pass(run, data))
    mean = statistics.mean(passes)
    print(f"a pass over {len(data.inputs)} pictures {mean:.2f} s, the fit {fit:.2f} s")
    print(f"{options.epochs} epochs of the head cost {fit / mean:.2f} passes over the images")


def one_pass(run: tf.types.experimental.PolymorphicFunction, data: DataSet) -> float:
    began = time.perf_counter()
    for start in range(0, len(data.inputs), 64):
        run(tf.constant(data.inputs[start : start + 64]))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
