"""Holding an artifact against the model that it was made from."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from contract import manifest as manifests
from contract.run_folder import RunFolder
from export import verify as verification
from export.errors import VerificationError
from export.verify import verify
from tests.export.conftest import Exported
from tests.export.helpers import KERAS_AND_NUMPY

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


@pytest.fixture
def run(grey: Exported, tmp_path: Path) -> RunFolder:
    """A copy of a run, to be changed."""
    return RunFolder(Path(shutil.copytree(grey.run.folder, tmp_path / grey.run.folder.name)))


@pytest.fixture
def artifact(grey: Exported, tmp_path: Path) -> Path:
    """A copy of its artifact, to be changed."""
    return Path(shutil.copytree(grey.version.folder, tmp_path / "artifact"))


def test_a_good_artifact_passes(exported: Exported) -> None:
    result = verify(exported.version.folder, exported.run)
    pictures = len(exported.run.test_set()[0])
    assert (result.examples, result.same_labels) == (pictures, pictures)
    assert 0 <= result.largest_difference <= result.allowed == verification.TOLERANCE == 1e-5


def change_weights(run: RunFolder, by: Any) -> None:
    """As if the run's model were not the one that was exported."""
    model = keras.models.load_model(run.inference_model, compile=False)
    weights = model.get_weights()
    weights[-1] = weights[-1] + by
    model.set_weights(weights)
    model.save(run.inference_model)


SHIFT = np.eye(10, dtype=np.float32)[3]


@pytest.mark.parametrize("by", [SHIFT * 0.01, SHIFT * np.nan], ids=["shifted", "not a number"])
def test_another_models_answers_are_told(artifact: Path, run: RunFolder, by: Any) -> None:
    change_weights(run, by)
    with pytest.raises(VerificationError, match="differs from the Keras model's by"):
        verify(artifact, run)


def test_weights_that_differ_by_less_than_allowed_pass(artifact: Path, run: RunFolder) -> None:
    change_weights(run, SHIFT * 1e-6)
    assert 0 < verify(artifact, run).largest_difference < 1e-5


def test_harmed_variables_are_told(artifact: Path, run: RunFolder) -> None:
    (data,) = (artifact / "variables").glob("variables.data-*")
    content = np.frombuffer(data.read_bytes(), np.uint8).copy()
    content[: len(content) // 2] = 0
    data.write_bytes(content.tobytes())
    with pytest.raises(VerificationError, match="can't be loaded"):
        verify(artifact, run)


def test_another_run_is_told(artifact: Path, run: RunFolder) -> None:
    run.complete(replace(run.manifest(), run="another"))
    with pytest.raises(VerificationError, match=f"was not made from {run.folder}"):
        verify(artifact, run)


@pytest.mark.parametrize("old", [b'"accuracy": 1', b'"recipe": "digits-cnn"', b"\n"])
def test_an_edited_manifest_is_told(artifact: Path, run: RunFolder, old: bytes) -> None:
    file = artifact / manifests.FILE
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, old.replace(b"1", b"2") + b" ", 1))
    with pytest.raises(VerificationError, match="say different things"):
        verify(artifact, run)


def test_another_makers_model_is_an_error_of_one_line(run: RunFolder, tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(x: Any) -> Any:
        return {"y": x * 2}

    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "double"), signatures={"serving_default": double})
    with pytest.raises(VerificationError, match="has no signature `describe`"):
        verify(tmp_path / "double", run)


@pytest.mark.parametrize("content", [None, b"not a graph"])
def test_what_is_no_saved_model_is_an_error_of_one_line(
    run: RunFolder, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(VerificationError, match=f"{tmp_path}: can't be loaded"):
        verify(tmp_path, run)


def test_a_missing_manifest_file_is_an_error_that_names_it(artifact: Path, run: RunFolder) -> None:
    (artifact / manifests.FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        verify(artifact, run)
