"""Fits flowers-cnn by either pixel rule and prints how accurate it is, as a table in Markdown.

python -m docs.pixel_rules --flowers DIR [--side N] [--seeds N] [--epochs N]

DIR has one folder of photographs per class. The flowers' are 256 pixels long, so the model's input
is 40×40 here: that leaves rule 2 as much to make smaller as photographs of 1,150 pixels do for the
recipe's own 180×180. Each model is read by both rules: what it was not fitted with shows what it
would cost to mix them up. The files are decoded once and no picture is left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import get_args

import keras
import numpy as np

from contract.pixels import PixelRule, PixelSpec, decode
from contract.run_folder import RunFolder
from training.evaluation.evaluate import evaluate
from training.fitting.fit import train
from training.fitting.options import FitOptions
from training.recipes import find

_RULES: tuple[PixelRule, ...] = get_args(PixelRule)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A fitted model on the test set's files, whose pixels were made by a rule.

    Attributes:
        fitted, read: by which rule.
        accuracy: share of the files that it names rightly.
        changed: share of them that it names otherwise than by the rule that it was fitted with.
    """

    fitted: PixelRule
    read: PixelRule
    accuracy: float
    changed: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--flowers", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--side", type=int, default=40, help="of the model's input, in pixels")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="lince-pixel-rules-") as scratch:
        for seed in range(1, options.seeds + 1):
            for rule in _RULES:
                spec = PixelSpec(
                    height=options.side, width=options.side, channels=3, pixel_rule=rule
                )
                chosen = FitOptions(given=options.flowers, epochs=options.epochs, seed=seed)
                readings += read(_fit(spec, chosen, Path(scratch)), spec)
    print("| fitted by rule | read by rule | test | test of each seed | other top label |")
    print("|---|---|---|---|---|")
    for fitted in _RULES:
        for rule in _RULES:
            row([each for each in readings if (each.fitted, each.read) == (fitted, rule)])


def _fit(spec: PixelSpec, options: FitOptions, scratch: Path) -> RunFolder:
    def say(line: str) -> None:
        print(line, file=sys.stderr)

    recipe = replace(find("flowers-cnn"), input=spec)
    # Two fits may begin in the same second.
    runs = scratch / f"rule-{spec.pixel_rule}-seed-{options.seed}"
    run = train(recipe, options, runs=runs, cache=scratch / "cache", say=say)
    assert run is not None
    evaluate(run, say)
    return run


def read(run: RunFolder, spec: PixelSpec) -> list[Reading]:
    """Returns what a run's model says of its test set, read by every rule."""
    model = keras.models.load_model(run.inference_model, compile=False)
    files, targets = run.test_files(), run.test_set()[1]
    assert files is not None
    labels = {}
    for rule in _RULES:
        pixels = np.stack([decode(file, replace(spec, pixel_rule=rule)) for file in files])
        labels[rule] = np.argmax(model.predict(pixels, verbose=0), axis=1)
    own = labels[spec.pixel_rule]
    return [
        Reading(
            fitted=spec.pixel_rule,
            read=rule,
            accuracy=float(np.mean(said == targets)),
            changed=float(np.mean(said != own)),
        )
        for rule, said in labels.items()
    ]


def row(readings: Sequence[Reading]) -> None:
    first = readings[0]
    each = " · ".join(f"{reading.accuracy:.4f}" for reading in readings)
    changed = mean(reading.changed for reading in readings)
    accuracy = mean(reading.accuracy for reading in readings)
    print(f"| {first.fitted} | {first.read} | {accuracy:.4f} | {each} | {changed:.1%} |")


if __name__ == "__main__":
    main()
