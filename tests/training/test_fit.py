"""Fitting and evaluation: what a run folder holds, and which epoch is kept."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from contract.pixels import decode
from contract.run_folder import RunFolder
from tests.training.helpers import KERAS_AND_NUMPY, class_folders, run_of
from training.architectures import build
from training.data import digits
from training.recipes import find

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


def history(run: RunFolder) -> list[dict[str, str]]:
    with run.history.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_has_all_that_it_promises(digits_run: RunFolder) -> None:
    names = {path.name for path in digits_run.folder.iterdir()}
    assert names == {
        "run.json",
        "test_images.npy",
        "test_targets.npy",
        "samples",
        "history.csv",
        "checkpoints",
        "inference.keras",
        "test_probabilities.npy",
        "report.json",
        "manifest.json",
    }
    assert [path.name for path in digits_run.checkpoints.iterdir()] == ["0002.weights.h5"]
    assert digits_run.test_files() is None


def test_history_has_a_row_per_epoch(digits_run: RunFolder) -> None:
    rows = history(digits_run)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert set(rows[0]) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    assert rows[0]["val_loss"] == "NA"  # nothing was held out
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])


def test_the_manifest_says_what_was_done(digits_run: RunFolder) -> None:
    manifest = digits_run.manifest()
    recipe = find("digits-cnn")
    data = digits.load(recipe.input)
    assert (manifest.recipe, manifest.document, manifest.task) == (
        "digits-cnn",
        "our own",
        "classification",
    )
    assert manifest.labels == tuple("0123456789")
    assert (manifest.classes, manifest.parameters, manifest.input) == (10, 243_786, recipe.input)
    counts = manifest.data.counts
    assert (counts.train, counts.validation, counts.test) == (1438, 0, 359)
    assert manifest.data.fingerprint == data.fingerprint()
    fit = manifest.fit
    assert (fit.epochs, fit.epochs_asked, fit.epoch_kept) == (2, 2, 2)
    assert (fit.batch, fit.seed, fit.validation_share) == (32, 123, 0.0)
    assert fit.device
    assert manifest.run == digits_run.folder.name
    assert {"python", "tensorflow", "keras", "lince"} <= set(manifest.versions)
    assert manifest.created.endswith("+00:00")
    assert manifest.encoded is None


def test_the_report_agrees_with_the_probabilities(digits_run: RunFolder) -> None:
    images, targets = digits_run.test_set()
    probabilities = digits_run.probabilities()
    assert images.shape == (359, 28, 28, 1)
    assert probabilities.shape == (359, 10)
    assert (images.dtype, targets.dtype, probabilities.dtype) == ("uint8", "int64", "float32")
    report = json.loads(digits_run.report.read_bytes())
    predicted = probabilities.argmax(axis=1)
    accuracy = float((predicted == targets).mean())
    assert report["accuracy"] == pytest.approx(accuracy)
    assert accuracy > 0.85
    of_the_true_class = probabilities[np.arange(359), targets].astype(float)
    assert report["loss"] == pytest.approx(-np.log(of_the_true_class).mean(), rel=1e-4)
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (targets, predicted), 1)
    assert report["confusion_matrix"] == matrix.tolist()
    assert [entry["label"] for entry in report["classes"]] == list("0123456789")
    for number, entry in enumerate(report["classes"]):
        assert entry["pictures"] == matrix[number].sum()
        assert entry["recall"] == pytest.approx(matrix[number, number] / matrix[number].sum())
        assert entry["precision"] == pytest.approx(matrix[number, number] / matrix[:, number].sum())
    manifest = digits_run.manifest()
    assert manifest.metrics == {"accuracy": report["accuracy"], "loss": report["loss"]}
    assert manifest.confusion_matrix == tuple(map(tuple, report["confusion_matrix"]))


def test_the_inference_model_gives_the_stored_probabilities(digits_run: RunFolder) -> None:
    model = keras.models.load_model(digits_run.inference_model, compile=False)
    images, _ = digits_run.test_set()
    np.testing.assert_allclose(
        model.predict(np.asarray(images), verbose=0), digits_run.probabilities(), atol=1e-6
    )


def test_the_samples_are_test_pictures(digits_run: RunFolder) -> None:
    images, targets = digits_run.test_set()
    spec = digits_run.manifest().input
    assert spec is not None
    known = {(image.tobytes(), str(target)) for image, target in zip(images, targets, strict=True)}
    samples = digits_run.samples()
    assert len(samples) == 24
    assert all((decode(each.file, spec).tobytes(), each.label) in known for each in samples)


def test_the_seed_decides_all(tmp_path: Path) -> None:
    options = {"epochs": 2, "tiny": True, "batch": 16}
    one, same, other = (
        run_of("digits-cnn", tmp_path, seed=seed, **options)[0] for seed in (1, 1, 2)
    )
    assert len({run.folder for run in (one, same, other)}) == 3
    assert one.history.read_bytes() == same.history.read_bytes()
    np.testing.assert_array_equal(one.test_set()[0], same.test_set()[0])
    np.testing.assert_array_equal(one.probabilities(), same.probabilities())
    assert history(one) != history(other)
    assert not np.array_equal(one.test_set()[0], other.test_set()[0])
    assert [run.manifest().fit.seed for run in (one, same, other)] == [1, 1, 2]


def test_any_folder_and_any_number_of_classes(three_colours: Path, tmp_path: Path) -> None:
    run, said = run_of(
        "flowers-cnn", tmp_path, folder=three_colours, tiny=True, batch=8, epochs=2, seed=4
    )
    manifest = run.manifest()
    assert manifest.labels == ("blue", "green", "red")
    assert manifest.parameters == 3_989_285 - 2 * 129
    assert manifest.data.name == "colours"
    counts = manifest.data.counts
    assert (counts.train, counts.validation, counts.test) == (32, 6, 6)
    assert manifest.fit.validation_share == 0.1
    rows = history(run)
    assert {"val_accuracy", "val_loss"} <= set(rows[0])
    best = int(np.argmax([float(row["val_accuracy"]) for row in rows])) + 1
    assert manifest.fit.epoch_kept == best
    assert [path.name for path in run.checkpoints.iterdir()] == [f"{best:04}.weights.h5"]
    # The model's last layer gives logits; what a run says are probabilities.
    np.testing.assert_allclose(run.probabilities().sum(axis=1), 1, atol=1e-6)
    files = run.test_files()
    assert files is not None
    assert manifest.input is not None
    for file, image, target in zip(files, *run.test_set(), strict=True):
        np.testing.assert_array_equal(decode(file, manifest.input), image)
        assert file.parent.name == manifest.labels[target]
    assert all(sample.file.suffix == ".png" for sample in run.samples())
    assert f"flowers-cnn: {counts.train} training" in " ".join(said)


def test_a_folder_with_a_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", {"red": 6, "blue": 6})
    for file in root.rglob("*.png"):
        file.rename(file.with_name(f"caf\udce9{file.name}"))
    run, _ = run_of("digits-cnn", tmp_path, folder=root, tiny=True, epochs=1)
    files = run.test_files()
    assert files
    assert all("caf\\xe9" in file.name for file in files)


# What validation said after each epoch → the epoch to keep: the best, the first among equals.
VALIDATION = [([0.9, 0.5, 0.7], 1), ([0.5, 0.9, 0.9], 2)]


@pytest.mark.parametrize(("accuracies", "best"), VALIDATION)
def test_the_best_epoch_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracies: list[float], best: int
) -> None:
    weights: list[np.ndarray] = []

    class Checkpoint(keras.callbacks.ModelCheckpoint):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            logs["val_accuracy"] = accuracies[epoch]
            weights.append(self.model.get_weights()[0])
            super().on_epoch_end(epoch, logs)

    monkeypatch.setattr(keras.callbacks, "ModelCheckpoint", Checkpoint)
    run, said = run_of("digits-cnn", tmp_path, epochs=3, tiny=True, batch=8, validation_share=0.2)
    assert [float(row["val_accuracy"]) for row in history(run)] == accuracies
    fit = run.manifest().fit
    assert (fit.epochs, fit.epochs_asked, fit.epoch_kept) == (3, 3, best)
    assert fit.validation_share == 0.2
    kept = keras.models.load_model(run.inference_model, compile=False).get_weights()[0]
    np.testing.assert_array_equal(kept, weights[best - 1])
    assert f"(weights of epoch {best})" in said[-1]


def test_two_classes_have_two_outputs() -> None:
    assert build(find("flowers-cnn"), 2).output_shape == (None, 2)
