"""The contract is light: no module of it brings TensorFlow or Flask along."""

import subprocess
import sys
from pathlib import Path

import pytest

import contract

FOLDER = Path(contract.__file__).parent
MODULES = sorted(
    ".".join(file.relative_to(FOLDER.parent).with_suffix("").parts)
    for file in FOLDER.rglob("*.py")
    if file.name != "__init__.py"
)
HEAVY = ["tensorflow", "tensorflow_serving", "keras", "flask", "httpx", "sklearn", "matplotlib"]
CODE = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"


@pytest.mark.heavy
def test_modules_are_light() -> None:
    # Two at a time: a fresh process each.
    assert "contract.wire.serving_pb2" in MODULES
    for start in range(0, len(MODULES), 2):
        running = [
            (name, subprocess.Popen([sys.executable, "-c", CODE, name], stdout=subprocess.PIPE))
            for name in MODULES[start : start + 2]
        ]
        for name, process in running:
            loaded = process.communicate()[0].decode().split()
            assert process.returncode == 0, name
            assert name in loaded
            found = {module.partition(".")[0] for module in loaded}
            assert found.isdisjoint(HEAVY), name


def test_the_rest_of_lince_stays_out() -> None:
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint(*sys.modules)", *MODULES],
        check=True,
        capture_output=True,
        text=True,
    )
    found = {module.partition(".")[0] for module in done.stdout.split()}
    assert found.isdisjoint(["training", "export", "server", "client", "lince"])
