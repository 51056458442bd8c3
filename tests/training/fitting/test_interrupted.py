"""Fits that are interrupted or killed, and what evaluation makes of them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import lince
from contract.errors import RunFolderError
from contract.run_folder import RunFolder
from export.artifact import export
from export.verify import verify
from tests.training.helpers import KERAS_AND_NUMPY, class_folders, run_of
from training.errors import RunError
from training.evaluation.evaluate import evaluate
from training.fitting import history as histories
from training.fitting.fit import resume

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


class Interrupted(BaseException):
    """As a kill: nothing of the fit gets to know of it."""


def act_at(
    monkeypatch: pytest.MonkeyPatch, epoch: int, act: Callable[[], None], batch: int = 0
) -> None:
    """Does something once, after a step of an epoch, counted from 1; a call may make several."""
    fit = keras.Model.fit

    class Acting(keras.callbacks.Callback):
        epoch = 0
        acted = False

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            self.epoch = epoch + 1

        def on_train_batch_end(self, number: int, logs: object = None) -> None:  # noqa: ARG002
            if self.epoch == epoch and number >= batch and not self.acted:
                self.acted = True
                act()

    def acting_fit(self: keras.Model, *args: object, **options: object) -> object:
        options["callbacks"] = [Acting(), *options["callbacks"]]
        return fit(self, *args, **options)

    monkeypatch.setattr(keras.Model, "fit", acting_fit)


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch, epoch: int, number: int = signal.SIGINT, times: int = 1
) -> None:
    """Sends this process a signal after the first step of an epoch, counted from 1."""

    def act() -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    act_at(monkeypatch, epoch, act)


def killed(
    monkeypatch: pytest.MonkeyPatch, root: Path, recipe: str, epoch: int, **options: object
) -> RunFolder:
    """A run as a kill in the middle of an epoch leaves it."""

    def act() -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        act_at(patch, epoch, act, batch=1)
        with pytest.raises(Interrupted):
            run_of(recipe, root, **options)
    (folder,) = (root / "runs" / recipe).iterdir()
    return RunFolder(folder)


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_interrupted_the_finished_epochs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, times: int
) -> None:
    interrupt_at(monkeypatch, 3, number, times)
    before = signal.getsignal(number)
    run, said = run_of("digits-cnn", tmp_path, epochs=9, tiny=True, batch=8)
    assert signal.getsignal(number) is before
    fit = run.manifest().fit
    assert (fit.epochs, fit.epochs_asked, fit.epoch_kept) == (2, 9, 2)
    assert "\ninterrupted: the last finished epoch is kept; `lince resume` goes on" in said


def test_interrupted_before_an_epoch_is_finished_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        run_of("digits-cnn", tmp_path, epochs=9, tiny=True, batch=8)
    # An empty run would be the newest, which `lince export RECIPE` takes.
    assert not list((tmp_path / "runs" / "digits-cnn").iterdir())


@pytest.fixture
def killed_run(digits_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run as a kill in the third epoch leaves it: fitted, not evaluated."""
    run = RunFolder(Path(shutil.copytree(digits_run.folder, tmp_path / "20200101T000000Z")))
    for name in ("manifest.json", "inference.keras", "test_outputs.npy", "report.json"):
        (run.folder / name).unlink()
    return run


TORN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "header": lambda data: data[:3000],
    "half": lambda data: data[: len(data) // 2],
    "almost": lambda data: data[:-1],
    "zero tail": lambda data: data[:2048] + bytes(len(data) - 2048),
}


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_last_checkpoint_is_passed_over(
    digits_run: RunFolder, killed_run: RunFolder, torn: str
) -> None:
    good = killed_run.checkpoints / "1-0002.weights.h5"
    (killed_run.checkpoints / "1-0003.weights.h5").write_bytes(TORN[torn](good.read_bytes()))
    with pytest.raises(RunFolderError, match="not complete; `lince resume"):
        killed_run.manifest()
    manifest = evaluate(killed_run, str)
    assert (manifest.fit.epochs, manifest.fit.epoch_kept) == (2, 2)
    assert manifest.metrics == digits_run.manifest().metrics
    assert [path.name for path in killed_run.checkpoints.iterdir()] == [good.name]


def test_without_a_checkpoint_that_can_be_read_there_is_nothing_to_evaluate(
    killed_run: RunFolder,
) -> None:
    checkpoint = killed_run.checkpoints / "1-0002.weights.h5"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(RunError, match="no checkpoint that can be read"):
        evaluate(killed_run, str)
    assert checkpoint.exists()  # it may be another version's: not ours to delete
    checkpoint.unlink()
    with pytest.raises(RunError, match="no checkpoint that can be read"):
        evaluate(killed_run, str)


def test_a_run_can_be_evaluated_again(digits_run: RunFolder, killed_run: RunFolder) -> None:
    first = evaluate(killed_run, str)
    assert evaluate(killed_run, str).metrics == first.metrics == digits_run.manifest().metrics


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"recipe": 1}'])
def test_what_is_no_run_folder_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=f"{tmp_path}: not a run folder"):
        evaluate(RunFolder(tmp_path), str)


OPTIONS = {"tiny": True, "batch": 8, "validation_share": 0.2, "decay": 0.9, "seed": 7}


def rows(run: RunFolder) -> list[histories.Row]:
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in histories.read(run.history)
    ]


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("digits-cnn", {"epochs": 5, **OPTIONS}),
        ("digits-cnn", {"epochs": 5, **OPTIONS, "validation_share": 0.0}),
        # Dropout, batch normalisation's statistics and augmentation go on where they were.
        pytest.param(
            *("fashion-cnn-regularized", {"epochs": 5, **OPTIONS, "augmentation": "document-d"}),
            marks=pytest.mark.slow,
        ),
        ("fashion-cnn-regularized", {"epochs": 9, **OPTIONS, "patience": 3, "learning_rate": 1e-9}),
    ],
    ids=["best", "last", "random layers", "patience"],
)
def test_resumed_it_ends_as_if_nothing_had_been(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    options: dict[str, object],
    three_colours: Path,
) -> None:
    options = {**options, "given": three_colours}
    whole, _ = run_of(recipe, tmp_path / "whole", **options)
    run = killed(monkeypatch, tmp_path / "killed", recipe, 3, **options)
    assert len(rows(run)) == 2
    said: list[str] = []
    assert resume(run, cache=tmp_path / "killed" / "cache", say=said.append) == run
    assert f"{recipe}: goes on after epoch 2 of {options['epochs']}" in said
    assert rows(run) == rows(whole)
    evaluate(run, str)
    assert run.manifest().fit == whole.manifest().fit
    np.testing.assert_array_equal(run.outputs(), whole.outputs())
    assert not run.backup.exists()


@pytest.mark.parametrize(
    ("epoch", "stages", "share"),
    [
        (4, [1, 1, 2], 0.1),
        (3, [1, 1], 0.1),
        (3, [1, 1], 0.0),
    ],
)
@pytest.mark.slow
def test_resumed_in_the_second_stage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    three_colours: Path,
    epoch: int,
    stages: list[int],
    share: float,
) -> None:
    """The head learns from features, then a part of the backbone is trained too."""
    options = {
        "given": three_colours,
        "weights": "none",
        "alpha": 0.35,
        "tiny": True,
        "batch": 8,
        "epochs": 2,
        "fine_tune": 3,
        "fine_tune_rate": 1e-3,
        "validation_share": share,
    }
    whole, said = run_of("mobilenet-v2-transfer", tmp_path / "whole", **options)
    assert "stage 2: the backbone from block_16_expand on, adam at 0.001" in said
    assert [row["stage"] for row in rows(whole)] == [1, 1, 2, 2, 2]
    run = killed(monkeypatch, tmp_path / "killed", "mobilenet-v2-transfer", epoch, **options)
    assert [row["stage"] for row in rows(run)] == stages
    resume(run, cache=tmp_path / "killed" / "cache", say=str)
    for one, other in zip(rows(run), rows(whole), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    evaluate(run, str)
    assert run.manifest().fit == whole.manifest().fit


@pytest.mark.slow
def test_a_state_without_its_epoch_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between an epoch's row and its state: the epoch is done again."""
    run = killed(monkeypatch, tmp_path, "digits-cnn", 3, epochs=4, **OPTIONS)
    with run.history.open("a") as file:
        file.write("3,1,0.5,0.5,0.5,0.5,0.1,0.1\n4,1,0.5")
    resume(run, cache=tmp_path / "cache", say=str)
    assert [row["epoch"] for row in rows(run)] == [1, 2, 3, 4]
    assert rows(run)[2]["accuracy"] != 0.5


def test_a_best_state_that_was_not_kept_yet_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between writing an epoch's state and keeping it as the best."""
    options = {"epochs": 3, "batch": 64, "validation_share": 0.2}
    whole, _ = run_of("digits-cnn", tmp_path / "whole", **options)
    run = killed(monkeypatch, tmp_path, "digits-cnn", 3, **options)
    accuracies = [row["val_accuracy"] for row in rows(run)]
    assert accuracies[1] > accuracies[0], "the second epoch has to be the best for this test"
    (checkpoint,) = run.checkpoints.iterdir()
    checkpoint.rename(checkpoint.with_name("1-0001.weights.h5"))
    (run.checkpoints / "1-0003.weights.h5").write_bytes(b"of an epoch that is done again")
    resume(run, cache=tmp_path / "cache", say=str)
    evaluate(run, str)
    assert run.manifest().fit == whole.manifest().fit
    np.testing.assert_array_equal(run.outputs(), whole.outputs())


def test_an_interrupted_run_is_complete_and_can_still_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        run, _ = run_of("digits-cnn", tmp_path, epochs=5, **OPTIONS)
    assert run.manifest().fit.epochs == 2
    resume(run, cache=tmp_path / "cache", say=str)
    evaluate(run, str)
    assert run.manifest().fit.epochs == 5
    with pytest.raises(RunError, match="its fit is finished"):
        resume(run, cache=tmp_path / "cache", say=str)


def test_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "set", {"red": 20, "blue": 20})
    run = killed(monkeypatch, tmp_path, "digits-cnn", 2, given=root, epochs=3, **OPTIONS)
    (root / "red" / "000.png").write_bytes((root / "blue" / "000.png").read_bytes())
    with pytest.raises(RunError, match="the data is not what it was"):
        resume(run, cache=tmp_path / "cache", say=str)


def test_killed_in_the_first_epoch_there_is_nothing_to_go_on_with(
    tmp_path: Path, digits_run: RunFolder
) -> None:
    run = RunFolder(tmp_path)
    run.config.write_bytes(digits_run.config.read_bytes())
    with pytest.raises(RunError, match="no epoch was finished"):
        resume(run, cache=tmp_path / "cache", say=str)


def train_until(epoch: int, number: int, root: Path) -> tuple[RunFolder, int, str, str]:
    """Starts `lince train`, sends it a signal in an epoch, and returns the run and what it said."""
    arguments = ["train", "digits-cnn", "--tiny", "--batch", "4", "--validation", "0.2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lince", *arguments, "--epochs", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LINCE_RUNS_DIR": str(root / "runs"), "LINCE_CACHE_DIR": str(root)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    err = ""
    for line in process.stderr:
        err += line
        if line.startswith(f"Epoch {epoch}/"):
            process.send_signal(number)
    out = process.stdout.read()
    process.wait(60)
    process.stdout.close()
    process.stderr.close()
    (folder,) = (root / "runs" / "digits-cnn").iterdir()
    return RunFolder(folder), process.returncode, out, err


def test_ctrl_c_keeps_the_best_epoch(tmp_path: Path) -> None:
    run, status, out, err = train_until(4, signal.SIGINT, tmp_path)
    assert status == 130
    assert out == f"{run.folder}\n"
    keras_says = re.compile(r"Epoch \d+/5000|\d+/\d+ - ")
    said = [line for line in err.splitlines() if not keras_says.match(line)]
    assert said[0].startswith("device: ")
    assert [line for line in said[1:-4] if not line.startswith(("note: ", "digits: "))] == [
        "digits-cnn: 16 training, 16 validation, 16 test pictures of 10 classes; 5000 epochs",
        "",
        "interrupted: the best finished epoch is kept; `lince resume` goes on",
    ]
    assert said[-4].startswith("digits-cnn: test accuracy ")
    assert said[-3] == f"report: {run.page}"
    assert said[-2:] == ["", "interrupted"]
    fit = run.manifest().fit
    assert 3 <= fit.epochs < fit.epochs_asked == 5000
    assert 1 <= fit.epoch_kept <= fit.epochs
    version, _ = export(run, tmp_path / "models")
    assert verify(version.folder, run).examples == 16


@pytest.mark.slow
def test_killed_it_can_still_be_evaluated(tmp_path: Path) -> None:
    run, status, _, _ = train_until(4, signal.SIGKILL, tmp_path)
    assert status == -signal.SIGKILL
    with pytest.raises(RunFolderError, match="not complete"):
        export(run, tmp_path / "models")
    assert not (tmp_path / "models").exists()
    answer = CliRunner().invoke(lince.cli, ["evaluate", str(run.folder)])
    assert answer.exit_code == 0, answer.output
    assert "precision" in answer.output
    fit = run.manifest().fit
    assert 3 <= fit.epochs < fit.epochs_asked
    assert export(run, tmp_path / "models")[0].number == 1
