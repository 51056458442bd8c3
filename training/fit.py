"""Fitting a recipe: from a data set to a run folder with its weights."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contract.manifest import Counts
from contract.run_folder import RunFolder
from training import device
from training.architectures import build
from training.data.catalog import load
from training.data.dataset import DataSet, Say, Split, split
from training.recipes import Recipe
from training.run import RunConfig, create


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What a user may set; None takes the recipe's value.

    Attributes:
        folder: class folders to learn from, instead of the recipe's data set.
        epochs, batch, seed, validation_share: as in the recipe.
        tiny: only a few batches, to see that all works.
    """

    folder: Path | None = None
    epochs: int | None = None
    batch: int | None = None
    seed: int | None = None
    validation_share: float | None = None
    tiny: bool = False


_TINY_BATCHES = 4


def train(recipe: Recipe, options: FitOptions, *, runs: Path, cache: Path, say: Say) -> RunFolder:
    """Fits a recipe and returns its run folder, ready for `training.evaluate`.

    Ctrl-C (or SIGTERM) ends the fit after the step in hand; the best epoch so far is kept.

    Raises:
        DataError: the data can't be had or used.
        KeyboardInterrupt: the fit was interrupted before an epoch was finished; nothing is left.
    """
    device_name, warning = device.choose()
    say(f"device: {device_name}")
    if warning:
        say(f"warning: {warning}")
    seed = recipe.seed if options.seed is None else options.seed
    share = recipe.validation_share
    if options.validation_share is not None:
        share = options.validation_share
    data = load(recipe.data, recipe.input, given=options.folder, cache=cache, say=say)
    # A folder has no test set of its own, so a recipe without a test share needs one here.
    test_share = recipe.test_share or (0.0 if data.own_test else 0.1)
    parts = split(data, validation_share=share, test_share=test_share, seed=seed)
    if options.tiny:
        parts = _tiny(parts, options.batch or recipe.batch)
    folder = _free(runs / recipe.name / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    config = RunConfig(
        recipe=recipe.name,
        run=folder.name,
        data=data.name,
        source=data.source,
        fingerprint=data.fingerprint(),
        labels=data.labels,
        input=recipe.input,
        counts=Counts(
            train=len(parts.train), validation=len(parts.validation), test=len(parts.test)
        ),
        epochs=recipe.epochs if options.epochs is None else options.epochs,
        batch=recipe.batch if options.batch is None else options.batch,
        seed=seed,
        validation_share=share,
        device=device_name,
    )
    run = create(folder, config, data, parts)
    say(
        f"{recipe.name}: {config.counts.train} training, {config.counts.validation} validation,"
        f" {config.counts.test} test pictures of {len(data.labels)} classes; {config.epochs} epochs"
    )
    _fit(recipe, config, data, parts, run, say)
    return run


def _free(folder: Path) -> Path:
    """Two runs may start in the same second."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def _tiny(parts: Split, batch: int) -> Split:
    def few(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        # Spread over the set: a folder is sorted by class.
        count = min(len(positions), _TINY_BATCHES * batch)
        return (
            positions[np.linspace(0, len(positions) - 1, count, dtype=int)] if count else positions
        )

    return Split(few(parts.train), few(parts.validation), few(parts.test))


def _fit(
    recipe: Recipe, config: RunConfig, data: DataSet, parts: Split, run: RunFolder, say: Say
) -> None:
    keras.utils.set_random_seed(config.seed)
    model = build(recipe, len(data.labels))
    model.compile(
        optimizer=recipe.optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=recipe.head == "logits"),
        metrics=["accuracy"],
    )
    held_out = len(parts.validation) > 0
    history = keras.callbacks.CSVLogger(run.history)
    try:
        # Keras's progress belongs where all other progress goes; stdout is for results.
        with _interruptible() as stop, contextlib.redirect_stdout(sys.stderr):
            model.fit(
                _batches(data, parts.train, config.batch, shuffle_seed=config.seed),
                validation_data=_batches(data, parts.validation, config.batch)
                if held_out
                else None,
                epochs=config.epochs,
                shuffle=False,  # the stream shuffles
                callbacks=[_checkpoint(run, held_out), history, stop],
                verbose=1 if sys.stderr.isatty() else 2,
            )
    except KeyboardInterrupt:
        history.on_train_end()  # which Keras leaves out: closes the file
        if not any(run.checkpoints.iterdir()):
            shutil.rmtree(run.folder)
            say("interrupted before the first epoch was finished: nothing to keep")
            raise
        say(f"\ninterrupted: the {'best' if held_out else 'last'} finished epoch is kept")


def _checkpoint(run: RunFolder, held_out: bool) -> keras.callbacks.ModelCheckpoint:
    """Each epoch worth keeping gets a file of its own: a kill while writing one loses no other."""
    return keras.callbacks.ModelCheckpoint(
        str(run.checkpoints / "{epoch:04d}.weights.h5"),
        save_weights_only=True,
        save_best_only=held_out,
        monitor="val_accuracy" if held_out else "loss",
        mode="max" if held_out else "min",
    )


def _batches(
    data: DataSet, positions: NDArray[np.int64], batch: int, *, shuffle_seed: int | None = None
) -> tf.data.Dataset:
    """Streams (uint8 [B, H, W, C], int64 [B]) from the array on disk, each epoch in a new order."""
    shape = (None, *data.images.shape[1:])

    def gather(chosen: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return data.images[chosen], data.targets[chosen]

    def read(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = tf.numpy_function(gather, [chosen], (tf.uint8, tf.int64), stateful=False)
        return tf.ensure_shape(images, shape), tf.ensure_shape(targets, (None,))

    stream = tf.data.Dataset.from_tensor_slices(positions)
    if shuffle_seed is not None:
        stream = stream.shuffle(len(positions), seed=shuffle_seed)
    return stream.batch(batch).map(read).prefetch(tf.data.AUTOTUNE)


class _Stop(keras.callbacks.Callback):
    """Raises KeyboardInterrupt at the end of a step, where no file is half written."""

    wanted = False

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        if self.wanted:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _interruptible() -> Iterator[_Stop]:
    stop = _Stop()

    # It prints nothing: a handler that writes while the program writes is an error.
    def ask(_number: int, _frame: object) -> None:
        if stop.wanted:  # a second Ctrl-C does not wait for the step
            raise KeyboardInterrupt
        stop.wanted = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
