"""Fixtures of the tests of export: runs and artifacts, made once; not to be changed."""

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from contract.run_folder import RunFolder
from export.artifact import export
from export.versions import Version
from tests.export.helpers import make_run, photographs


@dataclass(frozen=True)
class Exported:
    """A run, and the version published from it."""

    run: RunFolder
    models: Path
    version: Version

    @functools.cached_property
    def loaded(self) -> Any:
        return tf.saved_model.load(str(self.version.folder))


def _export(root: Path, recipe: str, count: int, labels: tuple[str, ...], kind: str) -> Exported:
    with warnings.catch_warnings():
        # Keras and NumPy 2: see KERAS_AND_NUMPY.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        run = make_run(root / "runs" / "r1", recipe, photographs(count), labels, kind=kind)
        return Exported(run, root / "models", export(run, root / "models")[0])


@pytest.fixture(scope="session")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """digits-cnn: one channel, softmax, ten classes, more pictures than a batch."""
    root = tmp_path_factory.mktemp("grey")
    return _export(root, "digits-cnn", 40, tuple("0123456789"), "PNG")


@pytest.fixture(scope="session")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """flowers-cnn: three channels, logits, three classes."""
    root = tmp_path_factory.mktemp("colour")
    return _export(root, "flowers-cnn", 5, ("daisy", "rosé", "tulip"), "JPEG")


@pytest.fixture(params=["grey", "colour"])
def exported(request: pytest.FixtureRequest) -> Exported:
    """Each of the two."""
    return request.getfixturevalue(request.param)
