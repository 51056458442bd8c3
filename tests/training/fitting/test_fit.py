"""Fitting and evaluation: what a run folder holds, and which epoch is kept."""

import json
import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from contract.pixels import decode
from contract.run_folder import RunFolder
from tests.training.helpers import KERAS_AND_NUMPY, class_folders, run_of
from training.data.catalog import load
from training.data.dataset import DataRequest
from training.errors import RecipeError, RunError
from training.evaluation.report import read_report
from training.fitting import history as histories
from training.fitting.compiling import class_weights
from training.recipes import find
from training.run import read_facts

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


def history(run: RunFolder) -> list[histories.Row]:
    return histories.read(run.history)


def without_seconds(run: RunFolder) -> list[histories.Row]:
    return [
        {name: value for name, value in row.items() if name != "seconds"} for row in history(run)
    ]


def test_a_run_folder_has_all_that_it_promises(digits_run: RunFolder) -> None:
    names = {path.name for path in digits_run.folder.iterdir()}
    assert names == {
        "run.json",
        "data.json",
        "test_inputs.npy",
        "test_targets.npy",
        "samples",
        "history.csv",
        "checkpoints",
        "inference.keras",
        "test_outputs.npy",
        "report.json",
        "manifest.json",
    }
    assert [path.name for path in digits_run.checkpoints.iterdir()] == ["1-0002.weights.h5"]
    assert digits_run.test_files() is None


def test_history_has_a_row_per_epoch(digits_run: RunFolder) -> None:
    rows = history(digits_run)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert list(rows[0]) == ["epoch", "stage", "accuracy", "loss", "learning_rate", "seconds"]
    assert rows[1]["loss"] < rows[0]["loss"]
    assert rows[0]["learning_rate"] == pytest.approx(1e-3)


def test_the_manifest_says_what_was_done(digits_run: RunFolder, tmp_path: Path) -> None:
    manifest = digits_run.manifest()
    recipe = find("digits-cnn")
    data = load(DataRequest(name="digits", spec=recipe.input, cache=tmp_path), str)
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
    assert (fit.precision, fit.augmentation, manifest.backbone) == ("float32", None, None)
    assert fit.device
    assert manifest.run == digits_run.folder.name
    assert {"python", "tensorflow", "keras", "lince"} <= set(manifest.versions)
    assert manifest.created.endswith("+00:00")
    assert manifest.encoded is None


def test_the_report_agrees_with_the_outputs(digits_run: RunFolder) -> None:
    images, targets = digits_run.test_set()
    probabilities = digits_run.outputs()
    assert images.shape == (359, 28, 28, 1)
    assert probabilities.shape == (359, 10)
    assert (images.dtype, targets.dtype, probabilities.dtype) == ("uint8", "int64", "float32")
    report = read_report(digits_run).classification
    assert report is not None
    predicted = probabilities.argmax(axis=1)
    accuracy = float((predicted == targets).mean())
    assert report.accuracy == report.top_k[1] == pytest.approx(accuracy)
    assert accuracy > 0.85
    of_the_true_class = probabilities[np.arange(359), targets].astype(float)
    assert report.loss == pytest.approx(-np.log(of_the_true_class).mean(), rel=1e-4)
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (targets, predicted), 1)
    assert report.confusion_matrix == tuple(map(tuple, matrix.tolist()))
    assert [entry.label for entry in report.classes] == list("0123456789")
    for number, entry in enumerate(report.classes):
        assert entry.pictures == matrix[number].sum()
        assert entry.recall == pytest.approx(matrix[number, number] / matrix[number].sum())
        assert entry.precision == pytest.approx(matrix[number, number] / matrix[:, number].sum())
    manifest = digits_run.manifest()
    assert manifest.metrics["accuracy"] == report.accuracy
    assert manifest.metrics["loss"] == report.loss
    assert manifest.metrics["expected_calibration_error"] == report.calibration.error
    assert manifest.metrics["top_3_accuracy"] == report.top_k[3]
    assert manifest.confusion_matrix == report.confusion_matrix


def test_the_inference_model_gives_the_stored_probabilities(digits_run: RunFolder) -> None:
    model = keras.models.load_model(digits_run.inference_model, compile=False)
    images, _ = digits_run.test_set()
    np.testing.assert_allclose(
        model.predict(np.asarray(images), verbose=0), digits_run.outputs(), atol=1e-6
    )


def test_the_samples_are_test_pictures(digits_run: RunFolder) -> None:
    images, targets = digits_run.test_set()
    spec = digits_run.manifest().input
    assert spec is not None
    known = {(image.tobytes(), str(target)) for image, target in zip(images, targets, strict=True)}
    samples = digits_run.samples()
    assert len(samples) == 24
    assert all((decode(each.file, spec).tobytes(), each.label) in known for each in samples)


def test_the_facts_count_every_picture(digits_run: RunFolder) -> None:
    facts = read_facts(digits_run)
    assert [entry.label for entry in facts.classes] == list("0123456789")
    assert sum(entry.train for entry in facts.classes) == 1438
    assert sum(entry.test for entry in facts.classes) == 359
    assert facts.skipped == facts.duplicates == ()


def test_the_seed_decides_all(tmp_path: Path) -> None:
    options = {"epochs": 2, "tiny": True, "batch": 16}
    one, same, other = (
        run_of("digits-cnn", tmp_path, seed=seed, **options)[0] for seed in (1, 1, 2)
    )
    assert len({run.folder for run in (one, same, other)}) == 3
    assert without_seconds(one) == without_seconds(same)
    np.testing.assert_array_equal(one.test_set()[0], same.test_set()[0])
    np.testing.assert_array_equal(one.outputs(), same.outputs())
    assert without_seconds(one) != without_seconds(other)
    assert not np.array_equal(one.test_set()[0], other.test_set()[0])
    assert [run.manifest().fit.seed for run in (one, same, other)] == [1, 1, 2]


def test_any_folder_and_any_number_of_classes(three_colours: Path, tmp_path: Path) -> None:
    run, said = run_of(
        "flowers-cnn", tmp_path, given=three_colours, tiny=True, batch=8, epochs=2, seed=4
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
    best = int(np.argmax([row["val_accuracy"] for row in rows])) + 1
    assert manifest.fit.epoch_kept == best
    assert [path.name for path in run.checkpoints.iterdir()] == [f"1-{best:04}.weights.h5"]
    # The model's last layer gives logits; what a run says are probabilities.
    np.testing.assert_allclose(run.outputs().sum(axis=1), 1, atol=1e-6)
    files = run.test_files()
    assert files is not None
    assert manifest.input is not None
    for file, image, target in zip(files, *run.test_set(), strict=True):
        np.testing.assert_array_equal(decode(file, manifest.input), image)
        assert file.parent.name == manifest.labels[target]
    assert all(sample.file.suffix == ".png" for sample in run.samples())
    assert f"flowers-cnn: {counts.train} training" in " ".join(said)


def test_two_of_three_classes(three_colours: Path, tmp_path: Path) -> None:
    run, _ = run_of(
        "cats-vs-dogs-tema3",
        tmp_path,
        given=three_colours,
        classes=("red", "blue"),
        tiny=True,
        batch=8,
        epochs=1,
    )
    manifest = run.manifest()
    assert manifest.labels == ("blue", "red")
    assert manifest.parameters == find("cats-vs-dogs-tema3").parameters
    assert run.outputs().shape[1] == 2
    np.testing.assert_allclose(run.outputs().sum(axis=1), 1, atol=1e-6)


def test_bad_files_are_left_out_and_listed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", {"red": 12, "blue": 12})
    (root / "red" / "text.jpg").write_text("no picture")
    (root / "blue" / "empty.png").write_bytes(b"")
    run, said = run_of("digits-cnn", tmp_path, given=root, skip_bad=True, epochs=1, tiny=True)
    skipped = read_facts(run).skipped
    assert len(skipped) == 2
    assert any("text.jpg" in line for line in skipped)
    assert any("empty.png" in line for line in skipped)
    assert any("2 " in line and "left out" in line for line in said)


def test_a_picture_in_two_sets_is_said(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", {"red": 12, "blue": 12})
    same = (root / "red" / "000.png").read_bytes()
    (root / "blue" / "copy.png").write_bytes(same)
    run, said = run_of("digits-cnn", tmp_path, given=root, epochs=1)
    ((one, other),) = read_facts(run).duplicates
    assert {one.label, other.label} == {"red", "blue"}
    assert any(line.startswith("a picture is there more than once") for line in said)


def test_a_folder_with_a_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", {"red": 6, "blue": 6})
    for file in root.rglob("*.png"):
        file.rename(file.with_name(f"caf\udce9{file.name}"))
    run, _ = run_of("digits-cnn", tmp_path, given=root, tiny=True, epochs=1)
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
    fit = keras.Model.fit

    class Says(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            logs["val_accuracy"] = accuracies[epoch]
            weights.append(self.model.get_weights()[0])

    def with_says(self: keras.Model, *args: object, **options: object) -> object:
        options["callbacks"] = [Says(), *options["callbacks"]]
        return fit(self, *args, **options)

    monkeypatch.setattr(keras.Model, "fit", with_says)
    run, said = run_of("digits-cnn", tmp_path, epochs=3, tiny=True, batch=8, validation_share=0.2)
    assert [row["val_accuracy"] for row in history(run)] == accuracies
    said_fit = run.manifest().fit
    assert (said_fit.epochs, said_fit.epochs_asked, said_fit.epoch_kept) == (3, 3, best)
    assert said_fit.validation_share == 0.2
    kept = keras.models.load_model(run.inference_model, compile=False).get_weights()[0]
    np.testing.assert_array_equal(kept, weights[best - 1])
    assert f"(weights of epoch {best})" in said[-1]


def test_a_stated_accuracy_stops_the_fit(tmp_path: Path) -> None:
    run, said = run_of("digits-cnn", tmp_path, epochs=9, stop_at_accuracy=0.5)
    fit = run.manifest().fit
    assert fit.epochs < 9
    assert history(run)[-1]["accuracy"] >= 0.5
    assert all(row["accuracy"] < 0.5 for row in history(run)[:-1])
    assert any(line.startswith(f"stopped after epoch {fit.epochs}: the training") for line in said)


def test_patience_stops_the_fit(tmp_path: Path) -> None:
    options = {"epochs": 30, "patience": 2, "validation_share": 0.2, "tiny": True, "batch": 8}
    run, said = run_of("digits-cnn", tmp_path, learning_rate=1e-9, **options)
    assert run.manifest().fit.epochs == 3  # the first is the best, and two more are waited for
    assert "stopped after epoch 3: no better validation for 2 epochs" in said


def test_patience_needs_a_validation(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--patience watches the validation, and none is held"):
        run_of("digits-cnn", tmp_path, patience=2)
    root = class_folders(tmp_path / "set" / "train", {"red": 8, "blue": 8}).parent
    class_folders(root / "validation", {"red": 8, "blue": 8})
    run, _ = run_of("digits-cnn", tmp_path, given=root, patience=2, epochs=2)
    assert run.manifest().data.counts.validation == 8  # the other half is the test set


def test_a_fit_that_diverges_says_so(tmp_path: Path) -> None:
    options = {"optimizer": "sgd", "learning_rate": 1e12, "epochs": 3, "tiny": True, "batch": 8}
    with pytest.raises(RunError, match="its fit diverged, and a smaller learning rate may help"):
        run_of("digits-cnn", tmp_path, **options)


def test_class_weights_of_a_class_without_pictures() -> None:
    recipe = replace(find("digits-cnn"), class_weights=True)
    weights = class_weights(recipe, np.array([0, 0, 0, 2]), ("a", "b", "c"))
    assert weights == pytest.approx({0: 4 / 6, 1: 1.0, 2: 4 / 2})


def test_the_learning_rate_decays_once_an_epoch(tmp_path: Path) -> None:
    options = {"epochs": 3, "tiny": True, "batch": 8, "learning_rate": 0.01, "decay": 0.5}
    run, _ = run_of("digits-cnn", tmp_path, **options)
    rates = [row["learning_rate"] for row in history(run)]
    assert rates == pytest.approx([0.01, 0.005, 0.0025])


def test_class_weights_let_rare_classes_count(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", {"red": 60, "blue": 6})
    options = {"given": root, "epochs": 1, "batch": 8}
    with_weights, without = (
        run_of("digits-cnn", tmp_path, class_weights=on, **options)[0] for on in (True, False)
    )
    assert json.loads(with_weights.config.read_bytes())["recipe"]["class_weights"] is True
    assert not math.isclose(history(with_weights)[0]["loss"], history(without)[0]["loss"])


def test_one_hot_labels_are_the_same_loss(tmp_path: Path) -> None:
    options = {"epochs": 2, "tiny": True, "batch": 8}
    sparse, one_hot = (
        run_of("digits-cnn", tmp_path, loss=f"{form}categorical_crossentropy", **options)[0]
        for form in ("sparse_", "")
    )
    for one, other in zip(history(sparse), history(one_hot), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["accuracy"] == other["accuracy"]


def test_a_fit_in_mixed_precision_is_evaluated_in_float32(tmp_path: Path) -> None:
    run, said = run_of("digits-cnn", tmp_path, precision="mixed_bfloat16", epochs=1)
    assert said[0].endswith("precision mixed_bfloat16")
    assert run.manifest().fit.precision == "mixed_bfloat16"
    model = keras.models.load_model(run.inference_model, compile=False)
    assert {layer.compute_dtype for layer in model.layers} <= {"float32", "uint8"}
    assert run.outputs().dtype == np.float32


def test_tensorboard_gets_its_logs(tmp_path: Path) -> None:
    run, _ = run_of("digits-cnn", tmp_path, epochs=1, tiny=True, batch=8, tensorboard=True)
    assert list(run.logs.rglob("events.out.tfevents.*"))
