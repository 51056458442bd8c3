"""The examples do what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.scoring.fake_gateway import FakeGateway, serving
from tests.integration.processes import environment

pytestmark = pytest.mark.integration
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        path = tmp_path / "in" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number if number else b"bad")
    return tmp_path / "in"


def run(folder: Path, *words: str) -> str:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=folder.parent, env=environment(PATH=programs), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_from_a_folder_to_a_confusion_matrix(folder: Path) -> None:
    with serving(FakeGateway()) as fake:
        told = run(folder, "sh", str(EXAMPLES / "score_folder.sh"), "in", "pets", fake.url)
    assert "accuracy 0." in told
    assert "in/cat/0.png: broken-image" in told
    assert "cat: " in told
    assert " of 9 found" in told


def test_from_python(folder: Path) -> None:
    with serving(FakeGateway()) as fake:
        words = (str(EXAMPLES / "score_in_python.py"), "in", "pets", "out.jsonl", fake.url)
        told = run(folder, sys.executable, *words)
    assert told == "20 rows, 1 with an error, version 1\n"
