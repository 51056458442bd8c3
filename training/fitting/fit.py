"""Fitting a recipe: from a data set to a run folder with its weights."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.manifest import Counts
from contract.paths import as_text
from contract.run_folder import RunFolder
from training.data.catalog import load
from training.data.dataset import DataRequest, DataSet, Say
from training.data.duplicates import find_duplicates
from training.data.split import Split, split
from training.errors import RecipeError, RunError
from training.fitting import device as devices
from training.fitting.device import Device
from training.fitting.options import FitOptions, apply
from training.fitting.stages import Job, fit_stages, start_point
from training.networks.backbones import last_block
from training.recipes.recipe import Recipe
from training.run import ClassCounts, DataFacts, RunConfig, create, read_config

_TINY_BATCHES = 4
#: Of the pictures of a data set that has no test set of its own, nor a recipe that says.
_TEST_SHARE = 0.1


def train(
    recipe: Recipe, options: FitOptions, *, runs: Path, cache: Path, say: Say
) -> RunFolder | None:
    """Fits a recipe and returns its run folder, ready for `training.evaluation.evaluate`.

    Ctrl-C (or SIGTERM) ends the fit after the step in hand; the best epoch so far is kept. Of
    several machines only the first has a run folder: None on the others.

    Raises:
        RecipeError: an option does not fit the recipe.
        DataError: the data or a backbone's weights can't be had or used.
        DeviceError: the device asked for is not there.
        KeyboardInterrupt: the fit was interrupted before an epoch was finished; nothing is left.
    """
    recipe = _with_blocks_named(apply(recipe, options))
    device = devices.choose(options.device, options.replicas)
    _say_device(device, recipe, say)
    request = DataRequest(
        name=recipe.data,
        spec=recipe.input,
        given=options.given,
        classes=options.classes,
        skip_bad=options.skip_bad,
        cache=cache,
    )
    data = load(request, say)
    if not (recipe.test_share or data.own_test or data.own_validation):
        recipe = replace(recipe, test_share=_TEST_SHARE)
    parts = _divide(recipe, data, tiny=options.tiny)
    _check(recipe, parts, device)
    with _folder(runs, recipe, device) as folder:
        config = RunConfig(
            recipe=recipe,
            run=folder.name,
            data=data.name,
            source=data.source,
            fingerprint=data.fingerprint(),
            given=as_text(options.given.resolve()) if options.given else None,
            only=options.classes,
            skip_bad=options.skip_bad,
            tiny=options.tiny,
            tensorboard=options.tensorboard,
            labels=data.labels,
            counts=Counts(**{name: len(part) for name, part in vars(parts).items()}),
            device=device.name,
            command=options.command,
        )
        run = create(folder, config, _facts(data, parts, say), data, parts)
        _say_sizes(config, say)
        fit_stages(Job(config, data, parts, run, device, cache, say))
        return run if device.chief else None


def resume(
    run: RunFolder,
    *,
    cache: Path,
    say: Say,
    device: Literal["auto", "cpu", "gpu"] = "auto",
    replicas: int = 1,
) -> RunFolder | None:
    """Goes on with a fit that was killed or interrupted, as if it had not been.

    Raises:
        RunError: this is no run folder, its fit is finished, or the data is not what it was.
        DataError: the data can't be had any more.
        DeviceError: the device asked for is not there.
    """
    config = read_config(run)
    start = start_point(run)
    where = devices.choose(device, replicas)
    _say_device(where, config.recipe, say)
    request = DataRequest(
        name=config.recipe.data,
        spec=config.recipe.input,
        given=Path(config.given) if config.given else None,
        classes=config.only,
        skip_bad=config.skip_bad,
        cache=cache,
    )
    data = load(request, say)
    if data.fingerprint() != config.fingerprint:
        raise RunError(f"{run.folder}: the data is not what it was: {data.source} has changed")
    parts = _divide(config.recipe, data, tiny=config.tiny)
    say(f"{config.recipe.name}: goes on after epoch {start.epoch} of {config.recipe.epochs}")
    if where.chief:
        run.reopen()
        fit_stages(Job(config, data, parts, run, where, cache, say), start)
        return run
    with tempfile.TemporaryDirectory(prefix="lince-machine-") as scratch:
        own = RunFolder(Path(shutil.copytree(run.folder, Path(scratch) / run.folder.name)))
        fit_stages(Job(config, data, parts, own, where, cache, say), start)
    return None


def _with_blocks_named(recipe: Recipe) -> Recipe:
    """Writes out which layer "" is: the first of the backbone's last block."""
    if recipe.backbone is None:
        return recipe
    name = last_block(recipe.backbone)
    stages = (
        replace(each, unfreeze=name) if each.unfreeze == "" else each for each in recipe.stages
    )
    return replace(recipe, stages=tuple(stages))


def _check(recipe: Recipe, parts: Split, device: Device) -> None:
    if recipe.patience is not None and not len(parts.validation):
        raise RecipeError(
            f"{recipe.name}: --patience watches the validation, and none is held out:"
            " add --validation 0.1"
        )
    replicas = device.strategy.num_replicas_in_sync
    if recipe.stages and recipe.batch % replicas:
        raise RecipeError(
            f"a batch of {recipe.batch} can't be divided evenly among {replicas} devices:"
            f" --batch {max(1, recipe.batch // replicas) * replicas} can"
        )


def _say_device(device: Device, recipe: Recipe, say: Say) -> None:
    say(f"device: {device.name}; precision {recipe.precision}")
    for note in device.notes:
        say(f"note: {note}")


def _divide(recipe: Recipe, data: DataSet, *, tiny: bool) -> Split:
    parts = split(
        data,
        validation_share=recipe.validation_share,
        test_share=recipe.test_share,
        seed=recipe.seed,
    )
    if not tiny:
        return parts
    return Split(*(_few(part, recipe.batch) for part in vars(parts).values()))


def _few(positions: NDArray[np.int64], batch: int) -> NDArray[np.int64]:
    # Spread over the set: a folder is sorted by class.
    count = min(len(positions), _TINY_BATCHES * batch)
    return positions[np.linspace(0, len(positions) - 1, count, dtype=int)] if count else positions


@contextlib.contextmanager
def _folder(runs: Path, recipe: Recipe, device: Device) -> Iterator[Path]:
    """A new run's folder; one that is thrown away where another machine writes the run."""
    if not device.chief:
        with tempfile.TemporaryDirectory(prefix="lince-machine-") as scratch:
            yield Path(scratch) / "run"
        return
    folder = runs / recipe.name / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number, free = 1, folder
    while free.exists():  # two runs may start in the same second
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    yield free


def _facts(data: DataSet, parts: Split, say: Say) -> DataFacts:
    duplicates = find_duplicates(data, parts)
    if duplicates:
        pictures = ", ".join(copy.picture for copy in duplicates[0])
        count = "a picture is" if len(duplicates) == 1 else f"{len(duplicates)} pictures are"
        say(
            f"{count} there more than once, in different sets or classes:"
            f" {pictures}{', …' if len(duplicates) > 1 else ''}"
        )
    counts = {
        name: np.bincount(data.targets[part], minlength=len(data.labels))
        for name, part in vars(parts).items()
        if data.labels
    }
    classes = (
        ClassCounts(label=label, **{name: int(count[n]) for name, count in counts.items()})
        for n, label in enumerate(data.labels)
    )
    return DataFacts(classes=tuple(classes), skipped=data.skipped, duplicates=duplicates)


def _say_sizes(config: RunConfig, say: Say) -> None:
    recipe, counts = config.recipe, config.counts
    what = f"pictures of {len(config.labels)} classes" if config.labels else "points"
    say(
        f"{recipe.name}: {counts.train} training, {counts.validation} validation, {counts.test}"
        f" test {what}; {recipe.epochs} epochs"
    )
