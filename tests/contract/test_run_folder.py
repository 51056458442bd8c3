"""The run folder: complete, incomplete or none, and files that are never torn."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from contract.errors import ManifestError, RunFolderError
from contract.files import write_whole
from contract.run_folder import RunFolder, Sample
from tests.contract.test_manifest import full

IMAGES = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)
TARGETS = np.array([0, 2, 1, 2])
SAMPLES = [("one.png", b"\x89PNG one", "cat"), ("dos ñ.jpg", b"\xff\xd8 two", "dog")]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "pets" / "2026-01-02"
    folder.mkdir(parents=True)
    return RunFolder(folder)


def test_not_a_run(run: RunFolder, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(RunFolderError, match=f"{folder}: not a run folder"):
            RunFolder(folder).manifest()


def test_incomplete(run: RunFolder) -> None:
    write_whole(run.config, b"{}")
    with pytest.raises(
        RunFolderError,
        match=r"not complete; `lince resume .*2026-01-02` .*`lince evaluate .*2026-01-02`",
    ):
        run.manifest()


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON"])
def test_broken_manifest(run: RunFolder, content: bytes) -> None:
    (run.folder / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError):
        run.manifest()


def test_a_manifest_that_cannot_be_read_back_does_not_complete(run: RunFolder) -> None:
    manifest = full()
    manifest.metrics["loss"] = float("nan")
    with pytest.raises(ManifestError, match="metrics"):
        run.complete(manifest)
    assert not list(run.folder.iterdir())


@pytest.mark.parametrize("files", [["a.png", "sub/b ñ.png", "/abs/c.png", "d.png"], None])
def test_round_trip(run: RunFolder, files: list[str] | None) -> None:
    probabilities = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    write_whole(run.config, b"{}")
    run.save_test_set(IMAGES, TARGETS, files, SAMPLES)
    run.save_outputs(probabilities)
    run.complete(full())

    again = RunFolder(run.folder)
    assert again.manifest() == full()
    images, targets = again.test_set()
    assert isinstance(images, np.memmap)
    assert (images.dtype, targets.dtype) == (np.uint8, np.int64)
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(targets, TARGETS)
    assert again.test_files() == (None if files is None else [Path(file) for file in files])
    assert again.samples() == [
        Sample(run.folder / "samples" / name, label) for name, _, label in SAMPLES
    ]
    assert [sample.file.read_bytes() for sample in again.samples()] == [
        content for _, content, _ in SAMPLES
    ]
    assert again.outputs().dtype == np.float32
    assert np.array_equal(again.outputs(), probabilities)
    assert not list(run.folder.rglob("*.part"))


def test_names_are_those_that_are_documented(run: RunFolder) -> None:
    write_whole(run.config, b"{}")
    run.save_test_set(IMAGES, TARGETS, ["a"] * 4, SAMPLES)
    run.save_outputs(np.zeros((4, 3), np.float32))
    run.complete(full())
    from contract import run_folder

    named = [run.checkpoints, run.history, run.inference_model, run.report]
    for path in [*run.folder.iterdir(), *named]:
        assert path.parent == run.folder
        assert f"── {path.name}" in (run_folder.__doc__ or "")


def test_write_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content in (b"first", b"", b"second, longer"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_whole(path, b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new" * 1000)
    assert path.read_bytes() == b"old"


WRITER = """
import sys
from itertools import cycle
from pathlib import Path
from contract.files import write_whole
for letter in cycle("ab"):
    write_whole(Path(sys.argv[1]), letter.encode() * 3_000_000)
"""


def test_no_reader_and_no_kill_sees_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    torn = 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
        try:
            deadline = time.monotonic() + 20
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                content = path.read_bytes()
                torn += len(content) != 3_000_000 or len(set(content)) != 1
        finally:
            writer.send_signal(signal.SIGKILL)
    content = path.read_bytes()
    assert torn == 0
    assert (len(content), len(set(content))) == (3_000_000, 1)
