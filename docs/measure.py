"""Fits recipes over several seeds and keeps what came out in docs/results.json.

python -m docs.measure --flowers DIR --mnist mnist.npz --mobilenet FILE --inception FILE [NAME…]

Data and weights that are not given come from their own sources, where they can be had. What is in
results.json already is not measured again; `docs/generate.py` makes docs/recipes.md's table of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from contract.files import write_whole
from contract.run_folder import RunFolder
from training.fitting import history as histories

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A recipe, what was changed of it, and over which seeds it is fitted."""

    name: str
    recipe: str
    options: tuple[str, ...] = ()
    data: str | None = None
    weights: str | None = None
    seeds: tuple[int, ...] = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one fit gave; accuracies of training and validation are of the kept epoch."""

    name: str
    recipe: str
    options: tuple[str, ...]
    seed: int
    epochs: int
    epoch_kept: int
    training: float | None
    validation: float | None
    last_training: float | None
    last_validation: float | None
    test: float | None
    seconds: float


def _of(recipe: str, *options: str, name: str = "", **more: object) -> Measurement:
    return Measurement(name=name or recipe, recipe=recipe, options=options, **more)  # type: ignore[arg-type]


_TWO = ("--classes", "daisy,roses")
MEASUREMENTS = (
    _of("single-neuron"),
    _of("digits-cnn"),
    _of("mnist-mlp", data="mnist"),
    _of("fashion-mlp-sgd"),
    _of("fashion-mlp-adam"),
    _of("fashion-mlp-512"),
    _of(
        "mobilenet-v2-transfer",
        "--alpha",
        "1.4",
        name="mobilenet-v2-transfer, alpha 1.4",
        data="flowers",
        weights="mobilenet",
    ),
    _of("flowers-cnn", data="flowers"),
    _of("flowers-cnn-augmented", data="flowers"),
    _of(
        "fashion-cnn-regularized",
        "--augment",
        "flip",
        name="fashion-cnn-regularized, flipped",
        seeds=(1,),
    ),
    _of("fashion-cnn-regularized", seeds=(1,)),
    _of(
        "inception-v3-transfer",
        *_TWO,
        name="inception-v3-transfer, two flowers",
        data="flowers",
        weights="inception",
        seeds=(1,),
    ),
    _of(
        "inception-v3-transfer",
        name="inception-v3-transfer, five flowers",
        data="flowers",
        weights="inception",
        seeds=(1,),
    ),
    _of(
        "inception-v3-transfer-dropout",
        name="inception-v3-transfer-dropout, five flowers",
        data="flowers",
        weights="inception",
        seeds=(1,),
    ),
    _of("mnist-cnn", data="mnist"),
    _of("fashion-mlp-128"),
    _of("fashion-cnn"),
    _of("cats-vs-dogs-tema3", *_TWO, name="cats-vs-dogs-tema3, two flowers", data="flowers"),
    _of("tema3-flatten", *_TWO, name="tema3-flatten, two flowers", data="flowers"),
    _of("tema3-gap", *_TWO, name="tema3-gap, two flowers", data="flowers"),
)


def read() -> list[Result]:
    """Returns what has been measured so far."""
    if not RESULTS.is_file():
        return []
    return msgspec.json.decode(RESULTS.read_bytes(), type=list[Result])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for kind in ("flowers", "mnist", "mobilenet", "inception"):
        parser.add_argument(f"--{kind}", type=Path)
    parser.add_argument("--most-seeds", type=int, default=3, help="of each measurement")
    parser.add_argument("names", nargs="*", help="of measurements; all unless given")
    given = vars(parser.parse_args())
    names = given["names"] or [each.name for each in MEASUREMENTS]
    for measurement in MEASUREMENTS:
        if measurement.name not in names:
            continue
        for seed in measurement.seeds[: given["most_seeds"]]:
            done = {(result.name, result.seed) for result in read()}
            if (measurement.name, seed) not in done:
                _keep(_fit(measurement, seed, given))


def _fit(measurement: Measurement, seed: int, given: dict[str, Any]) -> Result:
    command = [sys.executable, "-m", "lince", "train", measurement.recipe, "--seed", str(seed)]
    command += measurement.options
    for option, key in (("--data", measurement.data), ("--weights", measurement.weights)):
        if key is not None and given[key] is not None:
            command += [option, str(given[key])]
    print(*command[3:], file=sys.stderr)
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    run = RunFolder(Path(out.strip()))
    manifest, rows = run.manifest(), histories.read(run.history)
    kept, last = rows[manifest.fit.epoch_kept - 1], rows[-1]
    return Result(
        name=measurement.name,
        recipe=measurement.recipe,
        options=measurement.options,
        seed=seed,
        epochs=manifest.fit.epochs,
        epoch_kept=manifest.fit.epoch_kept,
        training=kept.get("accuracy"),
        validation=kept.get("val_accuracy"),
        last_training=last.get("accuracy"),
        last_validation=last.get("val_accuracy"),
        test=manifest.metrics.get("accuracy", manifest.metrics.get("mean_absolute_error")),
        seconds=round(sum(row["seconds"] for row in rows), 1),
    )


def _keep(result: Result) -> None:
    results = sorted([*read(), result], key=lambda each: (each.name, each.seed))
    lines = [json.dumps(asdict(each)) for each in results]
    write_whole(RESULTS, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


if __name__ == "__main__":
    main()
