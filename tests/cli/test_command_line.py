"""The command line: quick, teaching, with exit codes that mean something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import lince
from tests.pictures import picture

pytestmark = pytest.mark.heavy

VERBS = sorted(lince.cli.commands)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINCE_")}
    return subprocess.run(
        [sys.executable, "-m", "lince", *arguments],
        env={**kept, **variables},
        capture_output=True,
        text=True,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, lince\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(lince.cli, ['--help']).exit_code == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL', 'grpc', 'flask', 'httpx', 'sklearn'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_verb_is_listed_under_what_it_is_for() -> None:
    grouped = [verb.name for verbs in lince._GROUPS.values() for verb in verbs]
    assert sorted(grouped) == VERBS


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "model-server"])
def test_every_verb_teaches(verb: str) -> None:
    result = CliRunner().invoke(lince.cli, [verb, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) >= 6


def test_model_server_help_is_its_own() -> None:
    done = run("model-server", "--help")
    assert done.returncode == 255
    assert "--model_base_path" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nonsense",), 2, "No such command"),
        (("train",), 2, "RECIPE"),
        (("train", "nonsense"), 1, "fashion-cnn"),
        (("train", "digits-cnn", "--epochs", "0"), 2, "--epochs"),
        (("train", "flowers-cnn", "--data", "nowhere"), 3, "nowhere"),
        (("evaluate", "nowhere"), 1, "nowhere"),
        (("resume", "nowhere"), 1, "nowhere"),
        (("report", "nowhere"), 1, "nowhere"),
        (("compare", "nowhere"), 1, "nowhere"),
        (("preview", "nowhere"), 1, "nowhere"),
        (("export", "nowhere"), 1, "nowhere"),
        (("verify", "nobody"), 1, "nobody"),
        (("recipes", "nobody"), 1, "nobody"),
        (("gateway",), 1, "LINCE_MODELS"),
        (("classify",), 2, "FILES"),
        (("score", "nowhere"), 2, "--out"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(
    arguments: tuple[str, ...], code: int, text: str, tmp_path: Path
) -> None:
    done = run(*arguments, LINCE_RUNS_DIR=str(tmp_path), LINCE_MODELS_DIR=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_config_shows_what_is_in_force() -> None:
    done = run("config", LINCE_PORT="9001")
    assert "LINCE_PORT=9001\n" in done.stdout


def test_recipes_and_models(tmp_path: Path) -> None:
    assert "243,786" in run("recipes").stdout
    shown = run("recipes", "flowers-cnn").stdout
    assert "(None, 30976)" in shown
    assert "parameters: 3,989,285, of which" in shown
    assert "no models" in run("models", LINCE_MODELS_DIR=str(tmp_path)).stderr


@pytest.mark.integration
def test_a_preview_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(picture(size=(60, 40)))
    out = tmp_path / "preview.png"
    done = run("preview", str(tmp_path / "p.png"), "--augment", "document-b", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    with Image.open(out) as image:
        assert image.width > 2 * image.height
    (tmp_path / "p.png").write_bytes(b"no picture")
    done = run("preview", str(tmp_path / "p.png"))
    assert (done.returncode, "no known image format" in done.stderr) == (1, True)


def test_data_sets() -> None:
    assert "CC BY 2.0, Laurence Moroney" in run("datasets").stdout
    assert "e2e6f70d3d549c5dd10a57165e55af25" in run("datasets", "horses-or-humans").stdout
    unknown = run("datasets", "nobody")
    assert unknown.returncode == 3
    assert "horses-or-humans" in unknown.stderr


def test_version() -> None:
    assert "0.1.0" in run("--version").stdout
