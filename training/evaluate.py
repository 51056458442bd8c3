"""From fitted weights to a complete run: inference model, test-set report, manifest."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contract.manifest import Data, Fit, Manifest
from contract.run_folder import RunFolder
from training import provenance
from training.architectures import build, with_probabilities
from training.data.dataset import Say
from training.errors import RunError
from training.recipes import Recipe, find
from training.run import RunConfig, read_config


def evaluate(run: RunFolder, say: Say) -> Manifest:
    """Completes a run from its newest checkpoint, and says how good the model is.

    Float32 throughout, without TensorFloat-32: the test set's probabilities in the run folder are
    the reference that the exported artifact and the gateway are held to.

    Raises:
        RunError: this is no run folder, or it has no checkpoint that can be read.
    """
    config = read_config(run)
    recipe = find(config.recipe)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    model, epoch, kept = _best(run, recipe, config)
    run.reopen()
    inference = with_probabilities(model, recipe)
    inference.save(run.inference_model)
    images, targets = run.test_set()
    probabilities = np.asarray(inference.predict(images, batch_size=config.batch, verbose=0))
    run.save_probabilities(probabilities.astype(np.float32))
    report = _report(config.labels, targets, probabilities)
    run.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    manifest = _manifest(recipe, config, run, inference.count_params(), epoch, report)
    run.complete(manifest)
    for checkpoint in run.checkpoints.iterdir():
        if checkpoint != kept:
            checkpoint.unlink()
    say(
        f"{recipe.name}: test accuracy {report['accuracy']:.4f}, loss {report['loss']:.4f} on"
        f" {len(targets)} pictures (weights of epoch {epoch})"
    )
    return manifest


def _best(run: RunFolder, recipe: Recipe, config: RunConfig) -> tuple[keras.Model, int, Path]:
    """Loads the newest checkpoint that can be read: a kill may have left the last one torn."""
    model = build(recipe, len(config.labels))
    for checkpoint in sorted(run.checkpoints.glob("*.weights.h5"), reverse=True):
        try:
            model.load_weights(checkpoint)
        except (OSError, ValueError, KeyError, RuntimeError):  # all are h5py's
            continue
        return model, int(checkpoint.name.split(".")[0]), checkpoint
    raise RunError(f"{run.folder}: has no checkpoint that can be read")


def _report(
    labels: Sequence[str], targets: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> dict[str, Any]:
    from sklearn import metrics

    numbers = range(len(labels))
    # Float32 rows sum to 1 only up to rounding, which scikit-learn does not accept.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    scores = metrics.precision_recall_fscore_support(
        targets, predicted, labels=numbers, zero_division=0
    )
    precision, recall, f1, pictures = (column.tolist() for column in scores)
    return {
        "accuracy": float(np.mean(predicted == targets)),
        "loss": float(metrics.log_loss(targets, exact, labels=numbers)),
        "confusion_matrix": metrics.confusion_matrix(targets, predicted, labels=numbers).tolist(),
        "classes": [
            {"label": label, "precision": p, "recall": r, "f1": f, "pictures": n}
            for label, p, r, f, n in zip(labels, precision, recall, f1, pictures, strict=True)
        ],
    }


def _manifest(
    recipe: Recipe,
    config: RunConfig,
    run: RunFolder,
    parameters: int,
    epoch: int,
    report: dict[str, Any],
) -> Manifest:
    return Manifest(
        recipe=recipe.name,
        document=recipe.document,
        task="classification",
        labels=config.labels,
        classes=len(config.labels),
        input=config.input,
        parameters=parameters,
        metrics={"accuracy": report["accuracy"], "loss": report["loss"]},
        data=Data(
            name=config.data,
            source=config.source,
            counts=config.counts,
            fingerprint=config.fingerprint,
        ),
        fit=Fit(
            epochs=max(epoch, _epochs_completed(run.history)),
            epochs_asked=config.epochs,
            epoch_kept=epoch,
            batch=config.batch,
            seed=config.seed,
            validation_share=config.validation_share,
            device=config.device,
        ),
        versions=provenance.versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        source_revision=provenance.source_revision(),
        run=config.run,
        confusion_matrix=tuple(tuple(row) for row in report["confusion_matrix"]),
    )


def _epochs_completed(history: Path) -> int:
    try:
        with history.open(newline="") as file:
            return sum(1 for _ in csv.DictReader(file))
    except OSError:
        return 0
