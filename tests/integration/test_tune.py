"""`lince tune`: a real model server, real calls, and the file that comes of them."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

from server.model_server import batch_parameters
from tests.integration.processes import LINCE, children, run, started, wait_until

pytestmark = pytest.mark.integration

QUICK = ("--seconds", "0.1", "--callers", "8")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose call costs the same for any number of images: batching pays for certain."""

    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.uint8, "images")])
        def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            square = tf.reduce_sum(tf.cast(images, tf.float32)) * 1e-9 + tf.eye(256) / 2
            for _ in tf.range(24):
                square = tf.matmul(square, square) + tf.eye(256) / 2
            rows = tf.zeros((tf.shape(images)[0], 2)) + tf.reduce_sum(square) * 1e-9
            return {"probabilities": tf.nn.softmax(rows)}

    folder = tmp_path_factory.mktemp("models")
    tf.saved_model.save(slow := Slow(), str(folder / "slow" / "3"), slow.__call__)
    return folder


def tune(models: Path, model: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run("tune", model, *QUICK, *more, LINCE_MODELS_DIR=str(models))


def test_what_pays_is_written_where_the_model_server_reads_it(models: Path) -> None:
    version = models / "slow" / "3"
    before = {path.name for path in version.iterdir()}
    done = tune(models, "slow", "--rounds", "4", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["chosen"], outcome
    assert {path.name for path in version.iterdir()} - before == {"batching_params.pbtxt"}
    assert outcome["file"] == str(version / "batching_params.pbtxt")
    written = batch_parameters.of_version(str(version), batch_parameters.BatchParameters())
    assert written is not None
    assert written.most_rows == outcome["chosen"]["rows"] > 1
    gains = {str(each["parameters"]): each["gain"] for each in outcome["measured"]}
    assert gains["None"] == 1.0
    assert gains[str(outcome["chosen"])] > 1.03


@pytest.mark.slow
def test_where_batching_does_not_pay_nothing_is_written(models: Path, tmp_path: Path) -> None:
    more = ("--rounds", "1", "--max-p99", "0.001", "--out", str(tmp_path / "params"))
    done = tune(models, "slow", *more)
    assert done.returncode == 0, done.stderr
    assert "batching doesn't pay: no candidate keeps the 99th percentile" in done.stdout
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_process_and_no_file(models: Path, tmp_path: Path) -> None:
    (parameters := models / "slow" / "3" / "batching_params.pbtxt").unlink(missing_ok=True)
    command = (*LINCE, "tune", "slow", "--seconds", "60")
    with started(command, tmp_path / "log", LINCE_MODELS_DIR=str(models)) as running:
        # The callers, their helper of Python's, and the model server.
        wait_until(lambda: len(children(running.process.pid)) >= 3, "lince tune", running)
        there = children(running.process.pid)
        assert running.stop(signal.SIGINT) == 130
        assert running.output().split() == ["interrupted"]
    wait_until(lambda: not any(alive(pid) for pid in there), "the end of its processes")
    assert not parameters.exists()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_what_is_no_image_classifier_is_refused(tmp_path: Path) -> None:
    class Half(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
        def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": x / 2}

    tf.saved_model.save(half := Half(), str(tmp_path / "half" / "1"), half.__call__)
    done = tune(tmp_path, "half")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "Error: the model is not an image classifier: there are no calls to measure\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nothing",), 1, "no model nothing in"),
        (("slow", "--version", "9"), 1, "no model slow/9"),
        (("slow", "--out", "absent/params"), 2, "absent is no folder"),
        (("slow", "--", "grpc_max_threads=3"), 2, "'grpc_max_threads=3' has not the form"),
        (("slow", "--callers", "1"), 2, "--callers"),
        (("slow", "--model-server", "absent"), 1, "no program absent"),
        (("slow", "--", "--grpc_max_threads=x"), 1, "Couldn't interpret value x"),
    ],
)
def test_what_is_wrong_is_named(
    models: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    done = tune(models, *arguments)
    assert done.returncode == code
    assert text in done.stderr
