"""KServe's and Triton's clients against the gateway: what they find is what `:classify` says."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.artifacts import publish_random
from tests.integration.processes import environment, system
from tests.pictures import picture

pytestmark = pytest.mark.integration

APART = Path(sys.prefix, "kserve")
"""Where scripts/setup puts KServe's client, which wants older libraries than Lince has."""

MODULES = {"triton": "tritonclient", "kserve": "kserve"}
LABELS = ("cat", "dog", "owl")
PICTURES = [picture("PNG", seed=1), picture("JPEG", seed=2), picture("WEBP", seed=3)]


@pytest.fixture(autouse=True)
def model_server_program() -> None:
    """Not one for each test: it is the gateway that the clients meet."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    scratch = tmp_path_factory.mktemp("clients")
    publish_random(scratch / "models", "pets", LABELS, 16)
    with system(scratch / "models", ["pets"], scratch) as (_, url):
        yield url


@pytest.fixture(scope="module")
def expected(gateway: str) -> dict[str, Any]:
    """What `:classify` answers."""
    files = [("image", ("a", data)) for data in PICTURES]
    answer = httpx.post(
        f"{gateway}/v1/models/pets:classify?probabilities=true", files=files, trust_env=False
    ).json()
    assert answer["labels"] == list(LABELS)
    return {
        "probabilities": [result["probabilities"] for result in answer["results"]],
        "labels": [result["label"] for result in answer["results"]],
    }


def asked(name: str, gateway: str, folder: Path) -> Any:
    """What a client of inference_clients found."""
    module = MODULES[name]
    if importlib.util.find_spec(module) is None and not (APART / module).exists():
        if os.environ.get("LINCE_TEST_REQUIRE") == "all":
            pytest.fail(f"{module} is missing, and LINCE_TEST_REQUIRE=all allows no skip")
        pytest.skip(f"needs {module}: scripts/setup dev")
    paths = []
    for number, data in enumerate(PICTURES):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.inference_clients", name,
         gateway.removeprefix("http://"), "pets", *map(str, paths)],
        env=environment(PYTHONPATH=str(APART)), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", MODULES)
def test_images_are_classified(
    gateway: str, expected: dict[str, Any], tmp_path: Path, name: str
) -> None:
    found = asked(name, gateway, tmp_path)
    for key in ("binary", "json"):
        for rows, wanted in zip(
            found[f"probabilities {key}"], expected["probabilities"], strict=True
        ):
            assert rows == pytest.approx(wanted, abs=1e-6)
        assert found[f"labels {key}"] == expected["labels"]
    assert [found[key] for key in ("live", "ready", "model ready", "none ready")] == [
        *[True] * 3,
        False,
    ]
    assert found["id"] == "one"
    status, text = found["error"]
    assert status == "400"
    assert "image 0: the data is in no known image format" in text
    if name == "triton":
        assert (found["server"], found["versions"]) == ("lince", ["1"])
        assert found["version ready"] is True
        assert found["pixels binary"] == found["pixels json"]
    else:
        assert found["v1 ready"] is True
        for rows, wanted in zip(found["v1"], expected["probabilities"], strict=True):
            assert rows == pytest.approx(wanted, abs=1e-6)
