"""The deployment's files, read once."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import require

ROOT = Path(__file__).parents[2]
BASE = ROOT / "k8s" / "base"

Document = dict[str, Any]


def read_documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def compose() -> Document:
    return read_documents((ROOT / "docker-compose.yml").read_text())[0]


@pytest.fixture(scope="session")
def kustomization() -> Document:
    return read_documents((BASE / "kustomization.yaml").read_text())[0]


@pytest.fixture(scope="session")
def manifests(kustomization: Document) -> list[Document]:
    """What the base's own files hold, as they are written."""
    return [
        document
        for name in kustomization["resources"]
        for document in read_documents((BASE / name).read_text())
    ]


@pytest.fixture(scope="session")
def settings_in_base(kustomization: Document) -> dict[str, str]:
    """The gateway's environment variables."""
    [generator] = [g for g in kustomization["configMapGenerator"] if g["name"] == "gateway"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


@pytest.fixture(scope="session")
def deployments(manifests: list[Document]) -> dict[str, Document]:
    """Pod specifications by the deployment's name."""
    return {
        m["metadata"]["name"]: m["spec"]["template"] for m in manifests if m["kind"] == "Deployment"
    }


@pytest.fixture
def render() -> Callable[[Path], list[Document]]:
    """Renders a kustomization with kubectl."""

    def with_kubectl(folder: Path) -> list[Document]:
        done = subprocess.run(
            [require("kubectl"), "kustomize", str(folder)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "deprecated" not in done.stderr.lower()
        return read_documents(done.stdout)

    return with_kubectl
