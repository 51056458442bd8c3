"""The deployment's files, read and rendered once."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.deploy.pods import Document, kustomize, read_documents

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def compose() -> Document:
    return read_documents((ROOT / "docker-compose.yml").read_text())[0]


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Document]]:
    """Renders a folder of k8s/, or a base with components: `overlays/dev`, `base+tls+keda`."""
    copy = tmp_path_factory.mktemp("k8s") / "k8s"
    shutil.copytree(ROOT / "k8s", copy)
    rendered: dict[str, list[Document]] = {}

    def folder(name: str) -> Path:
        start, *components = name.split("+")
        if not components:
            return copy / start
        made = copy / "variants" / name.replace("/", "-")
        made.mkdir(parents=True)
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"../../{start}"],
            "components": [f"../../components/{component}" for component in components],
        }
        (made / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return made

    def cached(name: str) -> list[Document]:
        if name not in rendered:
            rendered[name] = kustomize(folder(name))
        return rendered[name]

    return cached


@pytest.fixture(scope="session", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    """kubernetes-validate reads a file of megabytes for each document; here, once."""
    with pytest.MonkeyPatch.context() as patch:
        read_once = functools.cache(kubernetes_validate.utils.schema_contents)
        patch.setattr(kubernetes_validate.utils, "schema_contents", read_once)
        yield


@pytest.fixture(scope="session")
def base(render: Callable[[str], list[Document]]) -> list[Document]:
    return render("base")
