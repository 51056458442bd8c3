"""From fitted weights to a complete run: inference model, outputs of the test set, manifest."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contract.files import write_whole
from contract.manifest import Data, Fit, Manifest
from contract.paths import as_text
from contract.run_folder import RunFolder
from training import provenance
from training.data.dataset import Say
from training.errors import RunError
from training.evaluation import scores
from training.evaluation.report import Features, Report
from training.fitting import history as histories
from training.fitting.callbacks import link, states, write_weights
from training.fitting.weights import load, trained
from training.networks.build import Network, build
from training.recipes.recipe import Recipe, without_weights
from training.run import RunConfig, read_config


def evaluate(run: RunFolder, say: Say) -> Manifest:
    """Completes a run from its best checkpoint, and says how good the model is on its test set.

    Float32 throughout, without TensorFloat-32 and whatever the fit's precision was: the test set's
    outputs in the run folder are the reference that the exported artifact and the gateway are held
    to.

    Raises:
        RunError: this is no run folder, it has no checkpoint that can be read, or the fit diverged.
    """
    config = read_config(run)
    recipe = replace(without_weights(config.recipe), precision="float32")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    network, stage, epoch, kept = _best(run, recipe, config)
    run.reopen()
    inputs, targets = run.test_set()
    outputs = _outputs(network, inputs, recipe.batch)
    if not np.isfinite(outputs).all():
        raise RunError(
            f"{run.folder}: the model answers with what is no number: its fit diverged, and a"
            " smaller learning rate may help"
        )
    network.inference.save(run.inference_model)
    run.save_outputs(outputs)
    report = _report(run, config, targets, outputs)
    write_whole(run.report, msgspec.json.format(msgspec.json.encode(report)))
    manifest = _manifest(config, run, network.inference.count_params(), epoch, report)
    run.complete(manifest)
    _tidy(run, network, recipe, stage, kept)
    say(f"{recipe.name}: {_in_words(report)} on {len(inputs)} test examples{_of_epoch(epoch)}")
    return manifest


def _best(run: RunFolder, recipe: Recipe, config: RunConfig) -> tuple[Network, int, int, Path]:
    """Loads the best weights that can be read: a loss of power may have torn the newest."""
    network = build(recipe, len(config.labels))
    if network.backbone is not None:
        _load_backbone(run, network)
    found = states(run.checkpoints)
    newest = states(run.backup)[:1]
    # The last epoch counts where nothing is held out, else the best: a kill may have come before
    # its state was made a checkpoint.
    rows, monitor = histories.read(run.history), histories.monitor_of(recipe)
    held_out = config.counts.validation
    if newest and (not held_out or histories.is_best(rows, newest[0][1], monitor)):
        found = sorted([*found, *newest], reverse=True)
    for stage, epoch, path in found:
        try:
            load(network, recipe, path)
        except (OSError, ValueError, KeyError, RuntimeError):  # all are h5py's
            if network.backbone is not None:  # a part of it may have been loaded
                _load_backbone(run, network)
            continue
        return network, stage, epoch, path
    raise RunError(f"{run.folder}: has no checkpoint that can be read")


def _load_backbone(run: RunFolder, network: Network) -> None:
    assert network.backbone is not None
    try:
        network.backbone.load_weights(run.backbone)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise RunError(f"{run.folder}: the backbone's weights can't be read: {error}") from error


def _outputs(network: Network, inputs: NDArray[Any], batch: int) -> NDArray[np.float32]:
    run = tf.function(lambda examples: network.inference(examples, training=False))
    parts = [
        run(tf.constant(inputs[start : start + batch])).numpy()
        for start in range(0, len(inputs), batch)
    ]
    return np.concatenate(parts).astype(np.float32)


def _report(
    run: RunFolder, config: RunConfig, targets: NDArray[Any], outputs: NDArray[np.float32]
) -> Report:
    task = config.recipe.task
    if task == "features":
        return Report(features=Features(shape=outputs.shape[1:]))
    if task == "regression":
        return Report(regression=scores.regression(targets, outputs))
    files = run.test_files()
    names = None if files is None else [as_text(file) for file in files]
    return Report(classification=scores.classification(config.labels, targets, outputs, names))


def _manifest(
    config: RunConfig, run: RunFolder, parameters: int, epoch: int, report: Report
) -> Manifest:
    recipe = config.recipe
    labels = config.labels if recipe.task == "classification" else ()
    matrix = report.classification.confusion_matrix if report.classification else None
    return Manifest(
        recipe=recipe.name,
        document=recipe.document,
        task=recipe.task,
        labels=labels,
        classes=len(labels),
        input=recipe.input,
        parameters=parameters,
        metrics=_metrics(report),
        data=Data(
            name=config.data,
            source=config.source,
            counts=config.counts,
            fingerprint=config.fingerprint,
        ),
        fit=Fit(
            epochs=max(epoch, len(histories.read(run.history))),
            epochs_asked=recipe.epochs,
            epoch_kept=epoch,
            batch=recipe.batch,
            seed=recipe.seed,
            validation_share=recipe.validation_share,
            device=config.device,
            precision=recipe.precision,
            augmentation=recipe.augmentation,
        ),
        backbone=recipe.backbone.name if recipe.backbone else None,
        versions=provenance.versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        source_revision=provenance.source_revision(),
        run=config.run,
        confusion_matrix=matrix,
    )


def _metrics(report: Report) -> dict[str, float]:
    if (found := report.classification) is not None:
        top = {f"top_{k}_accuracy": share for k, share in found.top_k.items() if k > 1}
        error = found.calibration.error
        return {
            "accuracy": found.accuracy,
            "loss": found.loss,
            **top,
            "expected_calibration_error": error,
        }
    return msgspec.to_builtins(report.regression) if report.regression is not None else {}


def _tidy(run: RunFolder, network: Network, recipe: Recipe, stage: int, kept: Path) -> None:
    """Leaves the weights without the optimiser's state, which is twice as large, and no others.

    What a fit that was interrupted needs to go on stays in `backup`.
    """
    if kept.parent == run.checkpoints:
        write_weights(trained(network, recipe, stage), kept)
    else:
        link(kept, run.checkpoints / kept.name)
    for _, _, path in states(run.checkpoints):
        if path.name != kept.name:
            path.unlink()


def _in_words(report: Report) -> str:
    if (found := report.classification) is not None:
        return f"test accuracy {found.accuracy:.4f}, loss {found.loss:.4f}"
    if report.regression is not None:
        return f"mean absolute error {report.regression.mean_absolute_error:.4f}"
    assert report.features is not None
    return f"features of {'×'.join(map(str, report.features.shape))}"


def _of_epoch(epoch: int) -> str:
    return f" (weights of epoch {epoch})" if epoch else ""
