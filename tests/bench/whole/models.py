"""The models to serve: trained for a few steps and exported; what they learned doesn't matter."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contract import manifest as manifests
from contract.pixels import PixelSpec
from tests.bench.made import class_folders

#: Pictures to train with; they make the same answers differ from one picture to the next.
_PICTURES = 60
_FIT = ("--epochs", "2")


@dataclass(frozen=True)
class Model:
    """An exported version.

    Attributes:
        version: its folder, models/NAME/NUMBER.
    """

    version: Path

    @property
    def name(self) -> str:
        return self.version.parent.name

    @property
    def models(self) -> Path:
        """The folder that a model server is started on."""
        return self.version.parent.parent

    @property
    def manifest(self) -> manifests.Manifest:
        return manifests.parse((self.version / manifests.FILE).read_bytes())

    @property
    def pixels(self) -> PixelSpec:
        spec = self.manifest.input
        assert spec is not None
        return spec


def made(
    recipe: str, folder: Path, *options: str, export: tuple[str, ...] = (), models: str = "models"
) -> Model:
    """Trains a recipe in a folder and exports it, unless either is there from before.

    Args:
        options: more options of `lince train`.
        export: more options of `lince export`.
        models: the folder in it that the version is published in.
    """
    model = Model((folder / models / recipe / "1").absolute())
    if model.version.is_dir():
        return model
    if not (folder / "runs" / recipe).is_dir():
        pictures = folder.parent / "pictures-to-train"
        if not pictures.is_dir():
            class_folders(pictures, _PICTURES)
        _lince(folder, models, "train", recipe, "--data", str(pictures.absolute()), *_FIT, *options)
    _lince(folder, models, "export", recipe, *export)
    return model


def _lince(folder: Path, models: str, *words: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    own = {"LINCE_CACHE_DIR": "cache", "LINCE_MODELS_DIR": models, "LINCE_RUNS_DIR": "runs"}
    command = [sys.executable, "-m", "lince", *words]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[2:])} failed:\n{done.stdout}{done.stderr}")


def takes(verb: str, option: str) -> bool:
    """Whether a verb of the command line has an option."""
    import lince

    return any(option in each.opts for each in lince.cli.commands[verb].params)
