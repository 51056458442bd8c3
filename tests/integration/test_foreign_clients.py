"""Clients that others wrote for TensorFlow Serving, against the model server."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import models
from tests.conformance.programs import Program, Server, launched, places
from tests.integration.processes import environment

pytestmark = pytest.mark.integration

APART = Path(sys.prefix, "clients")
"""Where scripts/setup puts clients that would overwrite files of TensorFlow's packages."""

MODULES = {
    "ovms_grpc": "ovmsclient",
    "ovms_http": "ovmsclient",
    "min_tfs": "min_tfs_client",
    "pure_python": "grpclib",
}
"""The clients of foreign_clients, and what each needs."""


@pytest.fixture(autouse=True)
def model_server_program() -> None:
    """Not one for each test: `server` runs each that there is."""


@pytest.fixture(scope="module", params=[p for p in places() if isinstance(p, Program)], ids=str)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("foreign")
    models.write_all(folder / "models")
    flags = [f for f in models.flags(folder / "models") if not f.startswith(("--port", "--rest_"))]
    with launched(request.param, folder, flags) as server:
        server.wait()
        yield server


def asked(name: str, server: Server) -> Any:
    """What a client of foreign_clients found."""
    module = MODULES[name]
    if importlib.util.find_spec(module) is None and not (APART / module).exists():
        if os.environ.get("LINCE_TEST_REQUIRE") == "all":
            pytest.fail(f"{module} is missing, and LINCE_TEST_REQUIRE=all allows no skip")
        pytest.skip(f"needs {module}: scripts/setup dev")
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.foreign_clients", name,
         f"127.0.0.1:{server.port}", f"127.0.0.1:{server.rest_port}"],
        env=environment(PYTHONPATH=str(APART)), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", MODULES)
def test_predict(server: Server, name: str) -> None:
    found = asked(name, server)
    assert found.pop("y") == [[3.0], [4.0]]
    expected = {
        "probabilities": [[0.5, 0.5]] * 2,
        "length": [1, 2],
        "version 1": [2.0, 4.0],
        "version 2": [4.0, 8.0],
        "rows": [1_000_000] * 4,
    }
    assert {key: value for key, value in found.items() if key in expected} == {
        key: value for key, value in expected.items() if key in found
    }


@pytest.mark.parametrize("name", ["ovms_grpc", "ovms_http"])
def test_status_metadata_and_errors(server: Server, name: str) -> None:
    """ovmsclient reads them into its own form, and raises its own errors."""
    found = asked(name, server)
    assert found["status"] == {"2": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    assert "Servable not found for request: Specific(none, 1)" in found["missing"]
    assert "x" in found["wrong"]
    if name == "ovms_grpc":
        assert found["metadata"]["model_version"] == 1
        assert found["metadata"]["inputs"] == {
            "images": {"shape": [-1, 8, 8, 3], "dtype": "DT_UINT8"}
        }
    else:
        assert found["metadata"]["model_spec"]["version"] == "1"


def test_errors_by_another_http2(server: Server) -> None:
    missing = ["NOT_FOUND", "Servable not found for request: Latest(none)"]
    assert asked("pure_python", server)["missing"] == missing
