"""Run folders that no fit made: for the tests of reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from keras import layers
from numpy.typing import NDArray

from contract.manifest import Counts, Data, Fit, Manifest
from contract.pixels import PixelSpec
from contract.run_folder import RunFolder
from training.evaluation.report import (
    Bin,
    Calibration,
    Classification,
    ClassScores,
    Features,
    Mistake,
    Regression,
    Report,
)
from training.recipes.recipe import Recipe, Stage
from training.run import ClassCounts, DataFacts, RunConfig

#: Keras asks TensorFlow's variables for an array in a way that NumPy 2 calls deprecated.
KERAS_AND_NUMPY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"

HISTORY = """epoch,stage,accuracy,loss,val_accuracy,val_loss,learning_rate,seconds
1,1,0.5,1.0,0.4,1.1,0.001,2.0
2,1,0.75,0.5,0.5,0.9,0.001,2.0
3,2,0.9,0.2,0.45,1.2,0.0001,3.0
"""

RECIPE = Recipe(
    name="made-cnn",
    document="D",
    data="made",
    classes=3,
    input=PixelSpec(height=16, width=16, channels=3),
    architecture="made",
    stages=(Stage(epochs=2), Stage(epochs=2)),
    validation_share=0.1,
    parameters=None,
    headline="validation of about 0.60",
    expected="something",
)


def classifier(classes: int, shape: tuple[int, ...]) -> keras.Model:
    inputs = keras.Input(shape, dtype="uint8", name="images")
    tensor = layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(inputs))
    tensor = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(name="pool")(tensor))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(tensor))


def classification(
    labels: Sequence[str], targets: NDArray[np.int64], outputs: NDArray[np.float32]
) -> Classification:
    """A report whose matrix and mistakes are true, and whose other scores are of no matter."""
    predicted = outputs.argmax(axis=1)
    matrix = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(matrix, (targets, predicted), 1)
    wrong = np.flatnonzero(predicted != targets)
    return Classification(
        accuracy=float((predicted == targets).mean()),
        loss=1.25,
        top_k={1: 0.5, 3: 0.9},
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
        classes=tuple(
            ClassScores(label=label, precision=0.5, recall=0.5, f1=0.5, pictures=int(row.sum()))
            for label, row in zip(labels, matrix, strict=True)
        ),
        calibration=Calibration(
            error=0.123, bins=(Bin(low=0, high=1, pictures=9, confidence=0.7, accuracy=0.5),)
        ),
        mistakes=tuple(
            Mistake(
                position=int(at),
                file=f"{labels[targets[at]]}/{at}.jpg",
                label=labels[targets[at]],
                predicted=labels[predicted[at]],
                probability=float(outputs[at].max()),
                probability_of_label=float(outputs[at, targets[at]]),
            )
            for at in wrong
        ),
    )


def classifier_run(
    folder: Path,
    *,
    labels: Sequence[str] = ("ant", "bee", "cat"),
    shape: tuple[int, int, int] = (16, 16, 3),
    targets: Sequence[int] = (0, 1, 2, 0, 1, 2, 0, 1, 2),
    recipe: Recipe = RECIPE,
    history: str | None = HISTORY,
    facts: DataFacts | None = None,
    model: bool = True,
) -> RunFolder:
    """A run of a classifier, evaluated but without a manifest; a third of it is wrong."""
    labels, truth = tuple(labels), np.array(targets, dtype=np.int64)
    rng = np.random.default_rng(7)
    inputs = rng.integers(0, 256, (len(truth), *shape), dtype=np.uint8)
    outputs = np.full((len(truth), len(labels)), 0.2 / len(labels), dtype=np.float32)
    for row, target in enumerate(truth):
        outputs[row, target if row % 3 else (target + 1) % len(labels)] += 0.8
    if facts is None:
        facts = DataFacts(classes=tuple(counted(label) for label in labels))
    report = Report(classification=classification(labels, truth, outputs))
    run = _run(folder, recipe, labels, inputs, truth, outputs, report, facts)
    if history is not None:
        run.history.write_text(history)
        (run.checkpoints / "1-0002.weights.h5").touch()
    if model:
        classifier(len(labels), shape).save(run.inference_model)
    return run


def counted(label: str) -> ClassCounts:
    return ClassCounts(label=label, train=8, validation=1, test=3)


def features_run(folder: Path) -> RunFolder:
    recipe = dataclasses.replace(RECIPE, name="made-features", task="features", stages=())
    inputs = np.random.default_rng(7).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    images = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(images, layers.Conv2D(5, 3, name="conv")(layers.Rescaling(1.0)(images)))
    outputs = np.asarray(model(inputs))
    report = Report(features=Features(shape=outputs.shape[1:]))
    targets = np.zeros(4, dtype=np.int64)
    run = _run(folder, recipe, ("a", "b"), inputs, targets, outputs, report, DataFacts())
    model.save(run.inference_model)
    return run


def regression_run(folder: Path) -> RunFolder:
    recipe = dataclasses.replace(
        RECIPE, name="made-line", task="regression", input=None, stages=(Stage(epochs=3),)
    )
    inputs = np.arange(6, dtype=np.float32).reshape(-1, 1)
    report = Report(regression=Regression(mean_squared_error=0.25, mean_absolute_error=0.5))
    targets = 2 * inputs - 1
    run = _run(folder, recipe, (), inputs, targets, targets + 0.5, report, DataFacts())
    run.history.write_text("epoch,stage,loss\n1,1,3.0\n2,1,nan\n3,1,0.25\n")
    x = keras.Input((1,), name="x")
    keras.Model(x, layers.Dense(1)(x)).save(run.inference_model)
    return run


def _run(
    folder: Path,
    recipe: Recipe,
    labels: tuple[str, ...],
    inputs: NDArray[Any],
    targets: NDArray[Any],
    outputs: NDArray[Any],
    report: Report,
    facts: DataFacts,
) -> RunFolder:
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True)
    config = RunConfig(
        recipe=recipe,
        run=folder.name,
        data="made",
        source="generated",
        fingerprint="0123456789abcdef",
        labels=labels,
        counts=Counts(train=24, validation=3, test=len(inputs)),
        device="CPU, 2 cores",
        command=f"lince train {recipe.name} --seed 5",
    )
    run.save_test_set(inputs, targets, None, [])
    run.save_outputs(outputs.astype(np.float32))
    run.config.write_bytes(msgspec.json.encode(config))
    run.data.write_bytes(msgspec.json.encode(facts))
    run.report.write_bytes(msgspec.json.encode(report))
    return run


def completed(run: RunFolder, *, kept: int = 2, parameters: int = 1234) -> RunFolder:
    """Gives a run its manifest."""
    config = msgspec.json.decode(run.config.read_bytes(), type=RunConfig)
    recipe, labels = config.recipe, config.labels
    labels = labels if recipe.task == "classification" else ()
    run.complete(
        Manifest(
            recipe=recipe.name,
            document=recipe.document,
            task=recipe.task,
            labels=labels,
            classes=len(labels),
            input=recipe.input,
            parameters=parameters,
            metrics={},
            data=Data(
                name=config.data,
                source=config.source,
                counts=config.counts,
                fingerprint=config.fingerprint,
            ),
            fit=Fit(
                epochs=3,
                epochs_asked=4,
                epoch_kept=kept,
                batch=32,
                seed=1,
                validation_share=0.1,
                device="CPU",
            ),
            versions={"keras": "9.8.7"},
            created="2026-11-22T21:00:00+00:00",
            source_revision="abcdef0",
            run=config.run,
        )
    )
    return run
