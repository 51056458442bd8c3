"""The run folder: what training leaves, and all that export and verify need.

runs/<recipe>/<run>/
├── run.json               what was asked for and of which data, written first
├── data.json              pictures of each class in each set, those left out, those that are twice
├── test_inputs.npy        uint8 [N, H, W, C]: pixels of the test set; a regression's float32 [N, 1]
├── test_targets.npy       int64 [N]: their classes; a regression's float32 [N, 1]
├── test_files.json        their files, where the data set is a folder
├── samples/               some test pictures as files, with samples.json: [{file, label}]
├── history.csv            a row per epoch, written as it goes
├── checkpoints/           the weights worth keeping, by epoch; backbone.weights.h5
├── backup/                the newest state of a fit that is not finished, by epoch
├── logs/                  for TensorBoard, where it was asked for
├── inference.keras        stock layers, uint8 in, probabilities out (or features, or a number)
├── test_outputs.npy       float32 [N, …]: what the model says of the test set, the reference
├── report.json            how good it is
├── pictures/              the report's pictures, PNG; pictures/dark/ for a dark page
├── report.html            all of it to look at, in one file
└── manifest.json          a run that has it is complete
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.errors import RunFolderError
from contract.files import write_whole
from contract.manifest import Manifest, encode, parse


@dataclass(frozen=True)
class Sample:
    """A test picture as a file, and its true label."""

    file: Path
    label: str


@dataclass(frozen=True)
class RunFolder:
    """A run folder, by its path."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def backbone(self) -> Path:
        return self.checkpoints / "backbone.weights.h5"

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        return self.folder / "data.json"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def page(self) -> Path:
        return self.folder / "report.html"

    @property
    def inference_model(self) -> Path:
        return self.folder / "inference.keras"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    def manifest(self) -> Manifest:
        """Reads the manifest.

        Raises:
            RunFolderError: this is no run folder, or the run is not complete.
            ManifestError: the manifest is broken.
        """
        try:
            return parse((self.folder / "manifest.json").read_bytes())
        except OSError as error:
            if not self.config.is_file():
                raise RunFolderError(f"{self.folder}: not a run folder") from error
            raise RunFolderError(
                f"{self.folder}: the run is not complete; `lince resume {self.folder}` goes on with"
                f" its fit, `lince evaluate {self.folder}` completes it from its best checkpoint"
            ) from error

    def reopen(self) -> None:
        """Makes the run incomplete: what the manifest spoke of is about to change."""
        (self.folder / "manifest.json").unlink(missing_ok=True)

    def complete(self, manifest: Manifest) -> None:
        """Writes the manifest, which makes the run complete."""
        write_whole(self.folder / "manifest.json", encode(manifest))

    def test_set(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Returns the inputs [N, …], memory-mapped, and the targets [N, …] of the test set."""
        return (
            np.load(self.folder / "test_inputs.npy", mmap_mode="r"),
            np.load(self.folder / "test_targets.npy"),
        )

    def save_test_set(
        self,
        inputs: NDArray[Any],
        targets: NDArray[Any],
        files: list[str] | None,
        samples: list[tuple[str, bytes, str]],
    ) -> None:
        """Writes the test set; samples are (file name, content, label)."""
        np.save(self.folder / "test_inputs.npy", inputs)
        np.save(self.folder / "test_targets.npy", targets)
        if files is not None:
            write_whole(self.folder / "test_files.json", msgspec.json.encode(files))
        (self.folder / "samples").mkdir()
        for name, content, _ in samples:
            (self.folder / "samples" / name).write_bytes(content)
        index = [{"file": name, "label": label} for name, _, label in samples]
        write_whole(self.folder / "samples" / "samples.json", msgspec.json.encode(index))

    def test_files(self) -> list[Path] | None:
        """Returns the test set's files, in its order; None where the data set is no folder."""
        path = self.folder / "test_files.json"
        if not path.is_file():
            return None
        return [Path(file) for file in msgspec.json.decode(path.read_bytes(), type=list[str])]

    def samples(self) -> list[Sample]:
        """Returns some test pictures as files."""
        folder = self.folder / "samples"
        index = msgspec.json.decode(
            (folder / "samples.json").read_bytes(), type=list[dict[str, str]]
        )
        return [Sample(folder / entry["file"], entry["label"]) for entry in index]

    def outputs(self) -> NDArray[np.float32]:
        """Returns what the model says of the test set, float32 [N, …]: probabilities [N, K] say."""
        outputs: NDArray[np.float32] = np.load(self.folder / "test_outputs.npy", mmap_mode="r")
        return outputs

    def save_outputs(self, outputs: NDArray[np.float32]) -> None:
        np.save(self.folder / "test_outputs.npy", outputs)
