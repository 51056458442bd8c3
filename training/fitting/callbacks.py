"""What happens around the epochs of a fit."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from contract.files import flush_one
from contract.run_folder import RunFolder
from training.data.cache import lacking_space
from training.errors import RunError
from training.fitting.history import Row, append

_SUFFIX = ".weights.h5"
_HDF5_OVERHEAD = 2_000_000
#: More than a layer draws: it does so once a step.
_DRAWS_IN_AN_EPOCH = 1 << 20


class Record(keras.callbacks.Callback):
    """Writes the history, a row per epoch. Comes before all others.

    Keras's own CSVLogger would keep the file open when a fit is interrupted.
    """

    def __init__(self, run: RunFolder, stage: int, rows: list[Row]) -> None:
        super().__init__()
        self._run, self._stage, self._rows = run, stage, rows
        self._began, self._rate = 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Row | None = None) -> None:  # noqa: ARG002
        self._began = time.monotonic()
        self._rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Row | None = None) -> None:
        row = {
            "epoch": epoch + 1,
            "stage": self._stage,
            **(logs or {}),
            "learning_rate": self._rate,
            "seconds": round(time.monotonic() - self._began, 3),
        }
        self._rows.append(row)
        append(self._run.history, row)


class Seeds(keras.callbacks.Callback):
    """Makes dropout and augmentation of an epoch depend on its number and the fit's seed alone.

    Keras does not save the state of its random layers: a resumed fit would begin with that of the
    first epoch.
    """

    def on_epoch_begin(self, epoch: int, logs: Row | None = None) -> None:  # noqa: ARG002
        for variable in self.model.variables:
            if "seed_generator" in variable.path:
                seed, _ = variable.numpy()
                variable.assign([seed, epoch * _DRAWS_IN_AN_EPOCH])


class Keep(keras.callbacks.Callback):
    """Writes the state after each epoch, and keeps the best epoch's.

    Keras's own BackupAndRestore writes weights and epoch number into two files, and ModelCheckpoint
    writes over the file that it has: a kill in between costs an epoch, or all. Here each state is a
    file of its own with the epoch in its name, complete before it gets this name, and the one
    before is deleted only then.
    """

    def __init__(self, run: RunFolder, stage: int, monitor: str | None, best: float | None) -> None:
        super().__init__()
        self._run, self._stage, self._monitor, self._best = run, stage, monitor, best

    def on_epoch_end(self, epoch: int, logs: Row | None = None) -> None:
        self._run.backup.mkdir(exist_ok=True)
        target = self._run.backup / state_name(self._stage, epoch + 1)
        write_weights(self.model, target)
        if self._monitor is not None and self._is_better((logs or {})[self._monitor]):
            checkpoint = self._run.checkpoints / target.name
            link(target, checkpoint)
            _remove_others(checkpoint)
        _remove_others(target)

    def _is_better(self, value: float) -> bool:
        assert self._monitor is not None
        # Not-a-number beats nothing, but the first state has to be kept whatever it is worth.
        if math.isnan(value):
            return not states(self._run.checkpoints)
        down = self._monitor.endswith("loss")
        if self._best is None or (value < self._best if down else value > self._best):
            self._best = value
            return True
        return False


class Stop(keras.callbacks.Callback):
    """Ends a stage once `over` says that it is."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over

    def on_epoch_end(self, epoch: int, logs: Row | None = None) -> None:  # noqa: ARG002
        if self._over():
            self.model.stop_training = True


class Interrupt(keras.callbacks.Callback):
    """Raises KeyboardInterrupt at the end of a step, where no file is half written."""

    wanted = False

    def check(self) -> None:
        """Raises KeyboardInterrupt where it was asked for."""
        if self.wanted:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.check()


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Takes Ctrl-C and SIGTERM for the callback it gives; the second does not wait for the step."""
    stop = Interrupt()

    # It prints nothing: a handler that writes while the program writes is an error.
    def ask(_number: int, _frame: object) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def state_name(stage: int, epoch: int) -> str:
    """Returns the file name of the weights after an epoch, both counted from 1."""
    return f"{stage}-{epoch:04}{_SUFFIX}"


def states(folder: Path) -> list[tuple[int, int, Path]]:
    """Returns (stage, epoch, file) of the weights in a folder, the newest first."""
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        stage, _, epoch = path.name.removesuffix(_SUFFIX).partition("-")
        if stage.isdigit() and epoch.isdigit():
            found.append((int(stage), int(epoch), path))
    return sorted(found, reverse=True)


def write_weights(model: keras.Model, target: Path) -> None:
    """Writes weights, with the optimiser's state of a compiled model, whole or not at all.

    Raises:
        RunError: the disk has no room for them.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    # Asked before, since HDF5 crashes on a full disk.
    needed = sum(4 * math.prod(variable.shape) for variable in variables) + _HDF5_OVERHEAD
    if lacking := lacking_space(target.parent, needed):
        raise RunError(f"{target.parent}: the weights can't be saved: that {lacking}")
    scratch = target.with_name(f".part{_SUFFIX}")
    model.save_weights(scratch, overwrite=True)
    flush_one(scratch)
    scratch.replace(target)


def link(source: Path, target: Path) -> None:
    """Gives a file a second name, or makes a copy where the file system has no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        scratch = target.with_name(f".part{_SUFFIX}")
        shutil.copyfile(source, scratch)
        scratch.replace(target)


def _remove_others(kept: Path) -> None:
    for _, _, path in states(kept.parent):
        if path != kept:
            path.unlink()
