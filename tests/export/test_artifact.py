"""The artifact: its signatures, its answers, its description, its warm-up."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import metrics
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from contract import manifest as manifests
from contract.distribution import measure
from contract.errors import RunFolderError
from contract.pixels import decode, to_pixels
from contract.run_folder import RunFolder
from export import reference
from export.artifact import export
from export.errors import ModelNameError
from tests.export.conftest import Exported
from tests.export.helpers import KERAS_AND_NUMPY, file_of, photographs, run_session

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


def pictures(exported: Exported, count: int) -> np.ndarray:
    return np.asarray(exported.run.test_set()[0][:count])


def probabilities(model: Any, name: str, images: Any) -> np.ndarray:
    return model.signatures[name](images=tf.constant(images))["probabilities"].numpy()


def files(contents: list[bytes]) -> Any:
    return tf.constant(contents, tf.string)


def meta_graph(exported: Exported) -> Any:
    model = saved_model_pb2.SavedModel.FromString(
        (exported.version.folder / "saved_model.pb").read_bytes()
    )
    (graph,) = model.meta_graphs
    return graph


#: As large as the last convolution's output.
MAPS = {"digits-cnn": (-1, 11, 11), "flowers-cnn": (-1, 45, 45)}


def test_the_signatures_are_those_of_the_design(exported: Exported) -> None:
    spec = exported.run.manifest().input
    assert spec is not None
    pixels = ("images", "DT_UINT8", (-1, spec.height, spec.width, spec.channels))
    classes = len(exported.run.manifest().labels)
    answer = ("probabilities", "DT_FLOAT", (-1, classes))
    expected = {
        "serving_default": ([pixels], [answer]),
        "encoded": ([("images", "DT_STRING", (-1,))], [answer]),
        "explain": ([pixels], [("heatmap", "DT_FLOAT", MAPS[exported.version.name]), answer]),
        "describe": ([("query", "DT_STRING", (-1,))], [("manifest", "DT_STRING", (-1,))]),
    }

    def shown(infos: Any) -> list[tuple[str, str, tuple[int, ...]]]:
        return [
            (
                name,
                types_pb2.DataType.Name(info.dtype),
                tuple(side.size for side in info.tensor_shape.dim),
            )
            for name, info in infos.items()
        ]

    graph = meta_graph(exported)
    found = {
        name: (shown(signature.inputs), sorted(shown(signature.outputs)))
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    assert found == expected
    assert list(graph.meta_info_def.tags) == ["serve"]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_are_probabilities_and_as_keras_says(exported: Exported, rows: int) -> None:
    images = pictures(exported, rows)
    got = probabilities(exported.loaded, "serving_default", images)
    assert got.shape == (rows, len(exported.run.manifest().labels))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.sum(axis=1), np.ones(rows), atol=1e-6)
    np.testing.assert_allclose(got, exported.run.outputs()[:rows], atol=1e-6)
    assert (got >= 0).all()


def test_the_pictures_of_these_tests_get_different_answers(exported: Exported) -> None:
    assert np.ptp(exported.run.outputs(), axis=0).max() > 0.01


@pytest.mark.filterwarnings("ignore:.*deprecat.*:DeprecationWarning")  # the way is an old one
def test_a_session_restores_the_same_weights(exported: Exported) -> None:
    images = pictures(exported, 5)
    got = run_session(exported.version.folder, "serving_default", "images", images)
    np.testing.assert_allclose(got["probabilities"], exported.run.outputs()[:5], atol=1e-6, rtol=0)
    contents = [file_of(picture) for picture in photographs(2)]
    got = run_session(exported.version.folder, "encoded", "images", contents)
    assert got["probabilities"].shape == (2, len(exported.run.manifest().labels))
    np.testing.assert_allclose(got["probabilities"], exported.run.outputs()[:2], atol=0.05, rtol=0)
    got = run_session(exported.version.folder, "describe", "query", [b"", b""])
    assert got["manifest"].tolist() == [
        (exported.version.folder / manifests.FILE).read_bytes() for _ in range(2)
    ]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_describe_says_what_the_manifest_file_says(exported: Exported, rows: int) -> None:
    describe = exported.loaded.signatures["describe"]
    said = describe(query=files([b"anything"] * rows))["manifest"].numpy().tolist()
    assert said == [(exported.version.folder / manifests.FILE).read_bytes()] * rows


def test_the_manifest_is_the_runs_with_the_deviation(exported: Exported) -> None:
    manifest = exported.version.manifest
    assert manifest is not None
    assert manifest.encoded is not None
    assert manifest.encoded.images == len(exported.run.samples())
    assert 0 <= manifest.encoded.mean_probability <= manifest.encoded.max_probability < 0.1
    assert manifest.encoded.changed_labels <= manifest.encoded.images
    of_export = ["encoded", "explanation", "confusion_matrix", "reference_distribution"]
    assert replace(manifest, **dict.fromkeys(of_export)) == exported.run.manifest()


def test_the_manifest_has_the_test_sets_confusions(exported: Exported) -> None:
    manifest = exported.version.manifest
    assert manifest is not None
    _, targets = exported.run.test_set()
    expected = metrics.confusion_matrix(
        targets, exported.run.outputs().argmax(axis=1), labels=range(manifest.classes)
    )
    assert manifest.confusion_matrix == tuple(map(tuple, expected.tolist()))


def test_the_manifest_has_what_is_usual(exported: Exported) -> None:
    manifest = exported.version.manifest
    assert manifest is not None
    assert manifest.reference_distribution is not None
    images, _ = exported.run.test_set()
    expected = measure(exported.run.outputs(), np.asarray(images))
    assert manifest.reference_distribution.test == expected
    assert expected.images == len(images)


def test_the_manifest_stays_small(exported: Exported) -> None:
    assert (exported.version.folder / manifests.FILE).stat().st_size < 8192


def test_many_classes_have_no_confusion_matrix(
    grey: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MOST_CLASSES", 9)
    manifest = reference.with_reference(grey.run.manifest(), grey.run)
    assert manifest.confusion_matrix is None
    assert manifest.reference_distribution is not None


MODES = {
    "JPEG": ["L", "RGB"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "BMP": ["L", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB"],
}


@pytest.mark.parametrize("kind", MODES)
def test_encoded_takes_files_of_every_kind(exported: Exported, kind: str) -> None:
    spec = exported.run.manifest().input
    assert spec is not None
    picture = photographs(1)[0]
    contents = [file_of(picture.convert(mode), kind) for mode in MODES[kind]]
    model = exported.loaded
    got = probabilities(model, "encoded", contents)
    pixels = np.stack([decode(content, spec) for content in contents])
    expected = probabilities(model, "serving_default", pixels)
    np.testing.assert_allclose(got, expected, atol=0.05, rtol=0)


def test_encoded_resizes_as_the_contract_does(exported: Exported) -> None:
    spec = exported.run.manifest().input
    assert spec is not None
    model = exported.loaded
    small = to_pixels(photographs(1)[0], spec)
    image = Image.fromarray(small[:, :, 0] if spec.channels == 1 else small)
    got = probabilities(model, "encoded", [file_of(image), file_of(image, "BMP")])
    exact = probabilities(model, "serving_default", small[np.newaxis])
    np.testing.assert_allclose(got, np.repeat(exact, 2, axis=0), atol=1e-6)


def test_encoded_refuses_what_is_no_picture(exported: Exported) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        probabilities(exported.loaded, "encoded", [b"no picture"])


def test_the_warmup_file_has_a_request_for_every_batch_size(exported: Exported) -> None:
    path = exported.version.folder / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.name for request in requests} == {exported.version.name}
    assert [request.model_spec.signature_name for request in requests] == ["describe"] + [
        "serving_default"
    ] * 6 + ["explain"]
    model = exported.loaded
    sizes = []
    for request in requests:
        (alias,) = request.inputs
        value = tf.make_ndarray(request.inputs[alias])
        sizes.append(len(value))
        model.signatures[request.model_spec.signature_name](**{alias: tf.constant(value)})
    assert sizes == [1, 1, 2, 4, 8, 16, 32, 1]


def test_nothing_of_keras_or_of_an_optimizer_is_in_it(exported: Exported) -> None:
    folder = exported.version.folder
    assert {path.name for path in folder.iterdir()} == {
        "saved_model.pb",
        "fingerprint.pb",
        "variables",
        "assets",
        "assets.extra",
    }
    model = keras.models.load_model(exported.run.inference_model, compile=False)
    stored = dict(tf.train.list_variables(str(folder / "variables" / "variables")))
    stored.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    assert sorted(map(tuple, stored.values())) == sorted(tuple(v.shape) for v in model.variables)
    weights = sum(int(np.prod(shape)) for shape in stored.values())
    assert weights == exported.run.manifest().parameters
    operations = {
        node.op
        for function in meta_graph(exported).graph_def.library.function
        for node in function.node_def
    }
    assert not {op for op in operations if "PyFunc" in op or "Adam" in op}


@pytest.mark.integration
def test_an_artifact_needs_neither_its_run_nor_its_place(
    exported: Exported, tmp_path: Path
) -> None:
    copy = RunFolder(Path(shutil.copytree(exported.run.folder, tmp_path / "run")))
    version, _ = export(copy, tmp_path / "models", "copy")
    expected = exported.run.outputs()[:3]
    images = pictures(exported, 3)
    shutil.rmtree(copy.folder)
    moved = Path(shutil.move(version.folder, tmp_path / "elsewhere"))
    got = probabilities(tf.saved_model.load(str(moved)), "serving_default", images)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_an_incomplete_run_is_not_exported(grey: Exported, tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(grey.run.folder, tmp_path / "run")))
    (copy.folder / "manifest.json").unlink()
    with pytest.raises(RunFolderError, match="not complete"):
        export(copy, tmp_path / "models")
    (copy.folder / "run.json").unlink()
    with pytest.raises(RunFolderError, match="not a run folder"):
        export(copy, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_the_name_is_checked(grey: Exported, tmp_path: Path) -> None:
    with pytest.raises(ModelNameError):
        export(grey.run, tmp_path / "models", "../up")
    assert not list(tmp_path.iterdir())
