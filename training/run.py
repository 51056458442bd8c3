"""What a training run puts into its run folder before the fit."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.files import write_whole
from contract.manifest import Counts
from contract.paths import as_text
from contract.run_folder import RunFolder
from training.data.dataset import DataSet
from training.data.split import Split
from training.errors import RunError
from training.recipes.recipe import Recipe

_SAMPLES = 24
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run was asked for, and of which data: `run.json`.

    Attributes:
        recipe: with what the user changed.
        run: the run folder's name.
        data, source, fingerprint: of the data set.
        given: folder or file that the user gave instead of the recipe's data set.
        only: the classes that the user chose, all if empty.
        skip_bad: files that can't be used are left out.
        tiny: only a few batches of each set.
        tensorboard: logs for TensorBoard are written.
        labels: class names in the order of the output.
        counts: pictures in each set.
        device: where the fit ran, in words.
        command: what the user typed.
    """

    recipe: Recipe
    run: str
    data: str
    source: str
    fingerprint: str
    given: str | None = None
    only: tuple[str, ...] = ()
    skip_bad: bool = False
    tiny: bool = False
    tensorboard: bool = False
    labels: tuple[str, ...]
    counts: Counts
    device: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Pictures of one class in each set."""

    label: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A picture that is not the only one with its pixels.

    Attributes:
        picture: its file, or its number in the data set.
        part: train, validation or test.
        label: its class.
    """

    picture: str
    part: Literal["train", "validation", "test"]
    label: str


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What is worth knowing of a run's data: `data.json`.

    Attributes:
        classes: pictures of each class in each set, in the order of the labels.
        skipped: files that were left out, each with the reason.
        duplicates: groups of pictures with the same pixels that lie in different sets or classes.
    """

    classes: tuple[ClassCounts, ...] = ()
    skipped: tuple[str, ...] = ()
    duplicates: tuple[tuple[Copy, ...], ...] = ()


def read_facts(run: RunFolder) -> DataFacts:
    """Reads what is known of the run's data.

    Raises:
        RunError: this is no run folder.
    """
    return _read(run, run.data, DataFacts)


def read_config(run: RunFolder) -> RunConfig:
    """Reads what the run was asked for.

    Raises:
        RunError: this is no run folder.
    """
    return _read(run, run.config, RunConfig)


def _read(run: RunFolder, path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{run.folder}: not a run folder: {error}") from error


def create(
    folder: Path, config: RunConfig, facts: DataFacts, data: DataSet, split: Split
) -> RunFolder:
    """Makes a run folder and puts in it what is known before the fit."""
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True)
    files = None
    if data.files is not None:
        files = [as_text(data.files[position]) for position in split.test]
    run.save_test_set(
        data.inputs[split.test], data.targets[split.test], files, _samples(data, split.test)
    )
    write_whole(run.data, msgspec.json.format(msgspec.json.encode(facts)))
    write_whole(run.config, msgspec.json.format(msgspec.json.encode(config)))
    return run


def _samples(data: DataSet, test: NDArray[np.int64]) -> list[tuple[str, bytes, str]]:
    """Returns some of the test pictures as files that can be sent to a gateway."""
    samples: list[tuple[str, bytes, str]] = []
    if not data.labels:  # numbers
        return samples
    chosen = test[np.linspace(0, len(test) - 1, min(_SAMPLES, len(test)), dtype=int)]
    for number, position in enumerate(chosen):
        if data.files is not None:
            content, suffix = data.files[position].read_bytes(), data.files[position].suffix
        else:
            content, suffix = _png(data.inputs[position]), ".png"
        samples.append((f"{number:02}{suffix}", content, data.labels[data.targets[position]]))
    return samples


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()
