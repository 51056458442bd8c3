"""A model image's build context: complete, alike each time, never over something else."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lince
from contract import manifest as manifests
from export import package
from export.errors import ExportError
from export.versions import Version, find, publish
from tests.manifests import make_manifest


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for number in (1, 2):
        publish(folder, "digits-cnn", lambda path, number=number: write_version(path, number))
    return folder


def write_version(folder: Path, number: int) -> None:
    (folder / "variables").mkdir()
    (folder / "assets.extra").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph %d" % number)
    (folder / "variables" / "variables.index").write_bytes(b"")
    made = replace(make_manifest(), source_revision='a "$HOME" \\ \n b')
    (folder / manifests.FILE).write_bytes(manifests.encode(made))


def lince_package(models: Path, *arguments: str | Path) -> Result:
    variables = {"LINCE_MODELS_DIR": str(models)}
    return CliRunner(env=variables).invoke(lince.cli, ["package", *map(str, arguments)])


def tree(folder: Path) -> dict[str, tuple[str, int, float]]:
    """Every path with its content's hash, its mode and its time."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mode,
            path.stat().st_mtime,
        )
        for path in (folder, *folder.rglob("*"))
    }


def test_the_newest_version_is_packed(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "context"
    done = lince_package(models, "digits-cnn", "--out", out)
    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    packed = out / "models" / "digits-cnn"
    assert [path.name for path in packed.iterdir()] == ["2"]
    assert (packed / "2" / "saved_model.pb").read_bytes() == b"graph 2"
    assert (packed / "2" / manifests.FILE).is_file()
    assert not list(out.parent.glob(".*"))


def test_the_dockerfile(models: Path, tmp_path: Path) -> None:
    lince_package(models, "digits-cnn", "--version", "1", "--version", "2", "--out", tmp_path / "c")
    lines = (tmp_path / "c" / "Dockerfile").read_text().splitlines()
    assert f"ARG BASE_IMAGE={package.BASE_IMAGE}" in lines
    assert lines[-1] == "USER 10001:10001"
    label = 'org.opencontainers.image.{}="{}"'
    text = "\n".join(lines)
    for key, value in (
        ("title", "digits-cnn"),
        ("version", "2"),
        ("description", "digits-cnn, versions 1, 2"),
        ("created", "2026-01-01T00:00:00+00:00"),
        ("revision", r"a \"\$HOME\" \\  b"),
    ):
        assert label.format(key, value) in text
    assert {path.name for path in (tmp_path / "c" / "models" / "digits-cnn").iterdir()} == {
        "1",
        "2",
    }


def test_it_is_alike_each_time(models: Path, tmp_path: Path) -> None:
    lince_package(models, "digits-cnn", "--out", tmp_path / "a")
    (models / "digits-cnn" / "2" / "saved_model.pb").chmod(0o600)
    os.utime(models / "digits-cnn" / "2" / "saved_model.pb")
    before = os.umask(0o077)
    try:
        lince_package(models, "digits-cnn", "--out", tmp_path / "b")
    finally:
        os.umask(before)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert {mode & 0o777 for _, mode, _ in tree(tmp_path / "a").values()} == {0o644, 0o755}


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_is_overwritten(models: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to("nowhere")
    done = lince_package(models, "digits-cnn", "--out", out)
    assert isinstance(done.exception, ExportError)
    assert "there already" in str(done.exception)
    assert not (out / "Dockerfile").exists()


def test_what_is_no_file_leaves_nothing(models: Path, tmp_path: Path) -> None:
    os.mkfifo(models / "digits-cnn" / "2" / "pipe")
    done = lince_package(models, "digits-cnn", "--out", tmp_path / "out" / "context")
    assert "pipe" in str(done.exception)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("arguments", [("nobody",), ("digits-cnn", "--version", "9")])
def test_what_is_not_there(models: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = lince_package(models, *arguments, "--out", tmp_path / "out")
    assert "there are digits-cnn/2, digits-cnn/1" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_without_a_manifest(models: Path, tmp_path: Path) -> None:
    version = replace(find(models, "digits-cnn"), manifest=None)
    package.package([version], tmp_path / "out")
    assert "created" not in (tmp_path / "out" / "Dockerfile").read_text()
    assert (tmp_path / "out" / "models").stat().st_mtime == 0


@pytest.mark.parametrize("name", ["..", "a b", ""])
def test_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="name"):
        package.package([Version(name, 1, tmp_path, None)], tmp_path / "out")


def test_no_tensorflow(models: Path, tmp_path: Path) -> None:
    code = (
        "import sys, lince\n"
        "lince.cli(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "package", "digits-cnn", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "LINCE_MODELS_DIR": str(models)}
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
