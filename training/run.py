"""What a training run puts into its run folder before the fit."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.files import write_whole
from contract.manifest import Counts
from contract.paths import as_text
from contract.pixels import PixelSpec
from contract.run_folder import RunFolder
from training.data.dataset import DataSet, Split
from training.errors import RunError

_SAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run was asked for, and of which data: `run.json`."""

    recipe: str
    run: str
    data: str
    source: str
    fingerprint: str
    labels: tuple[str, ...]
    input: PixelSpec
    counts: Counts
    epochs: int
    batch: int
    seed: int
    validation_share: float
    device: str


def read_config(run: RunFolder) -> RunConfig:
    """Reads what the run was asked for.

    Raises:
        RunError: this is no run folder.
    """
    try:
        return msgspec.json.decode(run.config.read_bytes(), type=RunConfig)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{run.folder}: not a run folder: {error}") from error


def create(folder: Path, config: RunConfig, data: DataSet, split: Split) -> RunFolder:
    """Makes a run folder and puts in it what is known before the fit."""
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True)
    files = None
    if data.files is not None:
        files = [as_text(data.files[position]) for position in split.test]
    run.save_test_set(
        data.images[split.test], data.targets[split.test], files, _samples(data, split.test)
    )
    write_whole(run.config, msgspec.json.format(msgspec.json.encode(config)))
    return run


def _samples(data: DataSet, test: NDArray[np.int64]) -> list[tuple[str, bytes, str]]:
    """Returns some of the test pictures as files that can be sent to a gateway."""
    samples = []
    chosen = test[np.linspace(0, len(test) - 1, min(_SAMPLES, len(test)), dtype=int)]
    for number, position in enumerate(chosen):
        if data.files is not None:
            content, suffix = data.files[position].read_bytes(), data.files[position].suffix
        else:
            content, suffix = _png(data.images[position]), ".png"
        samples.append((f"{number:02}{suffix}", content, data.labels[data.targets[position]]))
    return samples


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()
