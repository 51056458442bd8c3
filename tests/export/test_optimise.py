"""An optimised artifact: the same signatures and answers, without variables, and what it says."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from contract import manifest as manifests
from contract.run_folder import RunFolder
from export import optimise
from export.artifact import export
from export.errors import ExportError
from export.head import head
from export.verify import verify
from tests.export.conftest import Exported
from tests.export.helpers import KERAS_AND_NUMPY, file_of, photographs, run_session

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings(KERAS_AND_NUMPY),
    pytest.mark.filterwarnings("ignore:.*deprecat.*:DeprecationWarning"),  # of run_session
]

#: These networks were never fitted, so that their answers hardly differ.
BOUND = 0.01


@pytest.fixture(scope="module", params=["grey", "colour"])
def optimised(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The run of each plain artifact, exported once more."""
    run = request.getfixturevalue(request.param).run
    models = tmp_path_factory.mktemp("optimised")
    return Exported(run, models, export(run, models, max_change=BOUND)[0])


def _signatures(exported: Exported) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    content = (exported.version.folder / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs

    def ports(infos: dict) -> dict[str, str]:
        return {name: f"{info.dtype} {info.tensor_shape}" for name, info in infos.items()}

    return {n: (ports(s.inputs), ports(s.outputs)) for n, s in graph.signature_def.items()}


def test_the_signatures_are_those_of_the_plain_artifact(
    optimised: Exported, request: pytest.FixtureRequest
) -> None:
    plain = request.getfixturevalue("grey" if "digits" in optimised.version.name else "colour")
    assert _signatures(optimised) == _signatures(plain)


def test_there_are_no_variables(optimised: Exported) -> None:
    prefix = str(optimised.version.folder / "variables" / "variables")
    assert [n for n, _ in tf.train.list_variables(prefix) if "OBJECT_GRAPH" not in n] == []


@pytest.mark.parametrize("rows", [1, 3])
def test_a_session_gives_the_plain_answers(optimised: Exported, rows: int) -> None:
    folder, run = optimised.version.folder, optimised.run
    images, expected = np.asarray(run.test_set()[0][:rows]), run.outputs()[:rows]
    for signature in ("serving_default", "explain"):
        got = run_session(folder, signature, "images", images)["probabilities"]
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, atol=1e-6, rtol=0)
        np.testing.assert_allclose(got.sum(axis=1), np.ones(rows), atol=1e-6)
    contents = [file_of(picture) for picture in photographs(rows)]
    got = run_session(folder, "encoded", "images", contents)["probabilities"]
    np.testing.assert_allclose(got, expected, atol=0.05, rtol=0)


def test_it_passes_the_usual_verification(optimised: Exported) -> None:
    result = verify(optimised.version.folder, optimised.run)
    assert result.largest_difference <= result.allowed == 1e-5


def test_the_manifest_says_what_changed(
    optimised: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = optimised.version.manifest
    assert manifest is not None
    done = manifest.optimisation
    assert done is not None
    targets = optimised.run.test_set()[1]
    right = optimised.run.outputs().argmax(axis=1) == targets
    assert (done.examples, done.accuracy) == (len(targets), right.mean())
    assert done.max_change == BOUND
    assert done.float32.changed_labels == 0
    assert done.float32.accuracy == done.accuracy
    assert 0 <= done.float32.mean_probability <= done.float32.max_probability < 1e-6
    assert (done.bfloat16 is None) == (done.bfloat16_by is None)
    if done.bfloat16 is not None:
        # It did multiply otherwise.
        assert 1e-6 < done.bfloat16.mean_probability <= done.bfloat16.max_probability < BOUND


def test_bfloat16_is_not_permitted_where_it_was_not_measured(
    grey: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimise, "bfloat16_instructions", lambda: None)
    version, _ = export(grey.run, tmp_path, max_change=1e-6)
    assert version.manifest is not None
    assert version.manifest.optimisation is not None
    assert version.manifest.optimisation.bfloat16 is None


@pytest.fixture
def run(grey: Exported, tmp_path: Path) -> RunFolder:
    """A run whose network says something else than the run's reference."""
    folder = tmp_path / "run"
    folder.mkdir()
    for file in grey.run.folder.iterdir():
        if file.name != "test_outputs.npy":
            (folder / file.name).symlink_to(file)
    return RunFolder(folder)


@pytest.mark.parametrize("by", [0.002, np.nan], ids=["more", "not a number"])
def test_a_change_beyond_the_bound_is_refused(
    grey: Exported, run: RunFolder, tmp_path: Path, by: float
) -> None:
    run.save_outputs(grey.run.outputs() + np.float32(by))
    with pytest.raises(ExportError, match=r"float32, a probability changes by .*more than 0\.001"):
        export(run, tmp_path / "models", max_change=0.001)
    assert not [p for p in (tmp_path / "models").rglob("*") if p.name in ("1", manifests.FILE)]


def test_only_classifiers_can_be_optimised(run: RunFolder, tmp_path: Path) -> None:
    manifest = replace(run.manifest(), task="features")
    (run.folder / "manifest.json").unlink()
    run.complete(manifest)
    with pytest.raises(ExportError, match="only a classifier"):
        export(run, tmp_path / "models", max_change=1.0)
    assert not (tmp_path / "models").exists()


def test_a_head_in_float64_gives_the_same_probabilities() -> None:
    inputs = keras.Input((4,))
    score = keras.layers.Dense(1, activation="sigmoid")(inputs)
    model = keras.Model(inputs, keras.layers.Concatenate()([1 - score, score]))
    found = head(model)
    assert found is not None
    rows = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)
    got = optimise.predict(model, optimise.exact(found))(tf.constant(rows))
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, model(rows), atol=1e-6)
