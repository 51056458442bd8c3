"""Fits on several devices and on several machines give what one device gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from server.ports import free_port
from training.fitting import history as histories

pytestmark = pytest.mark.integration
OPTIONS = ["--tiny", "--batch", "8", "--epochs", "2", "--validation", "0.2", "--device", "cpu"]


def start(
    root: Path, recipe: str, data: Path, *options: str, **variables: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lince", "train", recipe, "--data", str(data), *OPTIONS, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"LINCE_RUNS_DIR": str(root / "runs"), "LINCE_CACHE_DIR": str(root / "cache")}
        | variables,
    )


def run_of(root: Path, process: subprocess.Popen[str]) -> tuple[RunFolder, str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return RunFolder(Path(out.strip())), err


def losses(run: RunFolder) -> list[float]:
    return [
        value for row in histories.read(run.history) for value in (row["loss"], row["val_loss"])
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, three_colours: Path) -> RunFolder:
    root = tmp_path_factory.mktemp("alone")
    return run_of(root, start(root, "digits-cnn", three_colours))[0]


def test_two_devices(tmp_path: Path, three_colours: Path, alone: RunFolder) -> None:
    run, err = run_of(tmp_path, start(tmp_path, "digits-cnn", three_colours, "--replicas", "2"))
    assert "cores as 2 devices" in err
    assert losses(run) == pytest.approx(losses(alone), rel=1e-3)
    assert run.outputs() == pytest.approx(alone.outputs(), abs=1e-3)


@pytest.mark.slow
def test_two_devices_with_random_layers_and_batch_normalisation(
    tmp_path: Path, three_colours: Path
) -> None:
    options = ("--replicas", "2", "--augment", "flip", "--patience", "5")
    run, _ = run_of(tmp_path, start(tmp_path, "fashion-cnn-regularized", three_colours, *options))
    assert len(losses(run)) == 4
    assert not run.backup.exists()


@pytest.mark.slow
def test_two_machines(tmp_path: Path, three_colours: Path, alone: RunFolder) -> None:
    workers = [f"127.0.0.1:{port}" for port in (free_port(), free_port())]
    processes = []
    for number in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": number}}
        root = tmp_path / f"machine{number}"
        variables = {"TF_CONFIG": json.dumps(task)}
        processes.append(start(root, "digits-cnn", three_colours, **variables))
    first, second = processes
    run, err = run_of(tmp_path / "machine0", first)
    assert "machine 1 of 2, 2 devices in all" in err
    assert losses(run) == pytest.approx(losses(alone), rel=1e-3)
    assert run.manifest().fit.epochs == 2
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, "")
    assert "machine 2 of 2" in err
    assert "done: the first machine has the run folder" in err
    assert not (tmp_path / "machine1" / "runs").exists()
