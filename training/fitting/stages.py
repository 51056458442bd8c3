"""The stages of a fit, one after the other, each from the best weights of the one before."""

from __future__ import annotations

import contextlib
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import keras

from contract.run_folder import RunFolder
from training.data.dataset import DataSet, Say
from training.data.split import Split
from training.errors import RunError
from training.fitting import callbacks, features, machines, stream
from training.fitting import history as histories
from training.fitting.compiling import (
    class_weights,
    compile_model,
    steps_at_once,
    wants_one_hot,
)
from training.fitting.device import Device
from training.fitting.stream import Examples
from training.fitting.weights import load, trained
from training.networks.backbones import unfreeze
from training.networks.build import Network, build
from training.recipes.recipe import Recipe, Stage, without_weights
from training.run import RunConfig


@dataclass(frozen=True)
class Job:
    """A fit: what, with which data, where, and whom to tell."""

    config: RunConfig
    data: DataSet
    parts: Split
    run: RunFolder
    device: Device
    cache: Path
    say: Say

    @property
    def recipe(self) -> Recipe:
        return self.config.recipe

    @property
    def monitor(self) -> str | None:
        """The column of the history that tells which epoch is best; None: the last one is kept."""
        if not len(self.parts.validation):
            return None
        return histories.monitor_of(self.recipe)


@dataclass(frozen=True)
class Start:
    """Where a fit begins: after this epoch (0 at first) of this stage, with these weights."""

    stage: int = 1
    epoch: int = 0
    weights: Path | None = None


def start_point(run: RunFolder) -> Start:
    """Returns where a fit that was not finished goes on.

    Raises:
        RunError: it is finished, or no epoch of it is.
    """
    for stage, epoch, path in callbacks.states(run.backup):
        if len(histories.read(run.history)) < epoch:
            raise RunError(f"{run.history}: has not the {epoch} epochs that {path.name} speaks of")
        return Start(stage, epoch, path)
    if callbacks.states(run.checkpoints):
        raise RunError(f"{run.folder}: its fit is finished; `lince evaluate` evaluates it")
    raise RunError(f"{run.folder}: no epoch was finished, so there is nothing to go on with")


def fit_stages(job: Job, start: Start = Start()) -> None:
    """Fits a run's stages, and leaves the weights to keep in its checkpoints.

    Raises:
        WeightsError: a backbone's weights can't be had or don't fit.
        KeyboardInterrupt: interrupted before an epoch was finished; the run folder is gone.
    """
    keras.utils.set_random_seed(job.recipe.seed)
    try:
        with job.device.strategy.scope():
            network = build(_as_begun(job, start), len(job.data.labels))
        if network.backbone is not None:
            if start.weights is None:
                callbacks.write_weights(network.backbone, job.run.backbone)
            else:
                network.backbone.load_weights(job.run.backbone)
        if start.weights is not None:
            histories.cut(job.run.history, start.epoch)
            _restore_best(job, start.weights, start.epoch)
        # Keras's progress belongs where all other progress goes; stdout is for results.
        with callbacks.interruptible() as stop, contextlib.redirect_stdout(sys.stderr):
            _fit_all(job, network, start, stop)
    except KeyboardInterrupt:
        if not callbacks.states(job.run.backup):
            shutil.rmtree(job.run.folder)
            job.say("interrupted before the first epoch was finished: nothing to keep")
            raise
        kept = "last" if job.monitor is None else "best"
        job.say(f"\ninterrupted: the {kept} finished epoch is kept; `lince resume` goes on")
    except BaseException:
        if not callbacks.states(job.run.backup):  # it would be the newest run, and empty
            shutil.rmtree(job.run.folder)
        raise
    else:
        _finish(job, network)


def _as_begun(job: Job, start: Start) -> Recipe:
    """A fit that goes on has its backbone's weights in the run folder."""
    return job.recipe if start.weights is None else without_weights(job.recipe)


def _fit_all(job: Job, network: Network, start: Start, stop: callbacks.Interrupt) -> None:
    for number, stage in enumerate(job.recipe.stages, 1):
        if number < start.stage:
            continue
        if number > start.stage:
            start = Start(number, len(histories.read(job.run.history)))
            kept = job.run.backup if job.monitor is None else job.run.checkpoints
            load(network, job.recipe, callbacks.states(kept)[0][2])
            job.say(f"stage {number}: {_in_words(stage)}")
        _fit_stage(job, network, number, start, stop)


def _fit_stage(
    job: Job, network: Network, number: int, start: Start, stop: callbacks.Interrupt
) -> None:
    stage, run, batch = job.recipe.stages[number - 1], job.run, job.recipe.batch
    rows = [row for row in histories.read(run.history) if row["stage"] == number]
    if len(rows) >= stage.epochs or histories.over(rows, stage, job.recipe, job.monitor):
        return
    learn, check = _examples(job, network, stage, stop)
    replicas = job.device.strategy.num_replicas_in_sync
    steps = math.ceil(stream.usable(len(learn.positions), batch, replicas) / batch)
    if network.backbone is not None:
        unfreeze(network.backbone, stage.unfreeze)
    model = trained(network, job.recipe, number)
    # Several devices get each batch from a call of its own.
    at_once = steps_at_once(model, batch, steps) if replicas == 1 else 1
    with job.device.strategy.scope():
        compile_model(model, job.recipe, stage.optimizer, len(job.data.labels), steps, at_once)
        if job.device.several_machines:
            machines.prepare(model, next(iter(stream.in_order(learn, batch))))
        model.optimizer.build(model.trainable_variables)
        if start.weights is not None:
            model.load_weights(start.weights)
    last = start.epoch - len(rows) + stage.epochs  # of all stages so far
    model.fit(
        stream.shuffled(
            learn,
            batch,
            first_epoch=start.epoch,
            epochs=last,
            seed=job.recipe.seed,
            replicas=replicas,
        ),
        steps_per_epoch=steps,
        validation_data=stream.in_order(check, batch, replicas) if len(check.positions) else None,
        initial_epoch=start.epoch,
        epochs=last,
        class_weight=class_weights(job.recipe, job.data.targets[job.parts.train], job.data.labels),
        shuffle=False,  # the stream shuffles
        callbacks=_callbacks(job, number, rows, stop),
        verbose=_verbosity(job.recipe),
    )
    if why := histories.over(rows, stage, job.recipe, job.monitor):
        job.say(f"stopped after epoch {len(histories.read(run.history))}: {why}")


def _examples(
    job: Job, network: Network, stage: Stage, stop: callbacks.Interrupt
) -> tuple[Examples, Examples]:
    """What a stage learns from, and what it is checked with."""
    inputs = job.data.inputs
    if network.extractor is not None and stage.unfreeze is None:
        if job.recipe.augmentation is None:
            what = f"{job.config.fingerprint} {job.recipe.backbone} {job.recipe.precision}"
            inputs = features.cached(
                network.extractor, what, job.data, job.cache, job.say, stop.check
            )
        else:
            job.say(
                "features: not cached, since augmentation makes every epoch's pictures new; each"
                " epoch passes the backbone"
            )
    classes = len(job.data.labels)
    one_hot = wants_one_hot(job.recipe, classes)
    learn, check = (
        Examples(inputs, job.data.targets, part, classes if one_hot else 0)
        for part in (job.parts.train, job.parts.validation)
    )
    return learn, check


def _callbacks(
    job: Job, number: int, rows: list[histories.Row], stop: callbacks.Interrupt
) -> list[keras.callbacks.Callback]:
    """What happens around the epochs; `rows` of the stage so far, which grows with it."""
    run, recipe, monitor = job.run, job.recipe, job.monitor
    best = histories.best(histories.read(run.history), monitor) if monitor else None
    stage = recipe.stages[number - 1]
    watching = [
        callbacks.Record(run, number, rows),
        callbacks.Seeds(),
        # After the history: a state without its row could not be told from the one before.
        callbacks.Keep(run, number, monitor, best),
        callbacks.Stop(lambda: histories.over(rows, stage, recipe, monitor) is not None),
    ]
    if job.config.tensorboard:
        watching.append(keras.callbacks.TensorBoard(run.logs))
    return [*watching, stop]


def _verbosity(recipe: Recipe) -> int:
    if recipe.task == "regression":  # hundreds of epochs of a few milliseconds
        return 0
    return 1 if sys.stderr.isatty() else 2


def _restore_best(job: Job, newest: Path, epoch: int) -> None:
    """Makes the checkpoints those of the history, whenever the kill came."""
    for _, number, path in callbacks.states(job.run.checkpoints):
        if number > epoch:
            path.unlink()
    if job.monitor is None:
        return
    if histories.is_best(histories.read(job.run.history), epoch, job.monitor):  # not kept, perhaps
        callbacks.link(newest, job.run.checkpoints / newest.name)


def _finish(job: Job, network: Network) -> None:
    """Where nothing was held out the last state is the one to keep; the others are not needed."""
    if job.monitor is None and (last := callbacks.states(job.run.backup)):
        _, _, path = last[0]
        path.replace(job.run.checkpoints / path.name)
    elif not job.recipe.stages:
        callbacks.write_weights(network.fit, job.run.checkpoints / callbacks.state_name(0, 0))
    shutil.rmtree(job.run.backup, ignore_errors=True)


def _in_words(stage: Stage) -> str:
    rate = stage.optimizer.learning_rate
    what = "the head alone" if stage.unfreeze is None else f"the backbone from {stage.unfreeze} on"
    return f"{what}, {stage.optimizer.name}" + ("" if rate is None else f" at {rate:g}")
