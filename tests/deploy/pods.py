"""What tests ask of rendered manifests: pods, containers, their flags and settings."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from contract.settings import PREFIX, Settings
from tests.deploy.quantities import whole_cpus
from tests.programs import require

Document = dict[str, Any]


def read_documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def kubectl() -> str:
    """The environment's own, else the machine's."""
    own = Path(sys.executable).with_name("kubectl")
    return str(own) if own.exists() else require("kubectl")


def kustomize(folder: Path) -> list[Document]:
    """Renders a kustomization, without a warning."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return read_documents(done.stdout)


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def templates(documents: list[Document]) -> dict[str, Document]:
    """Pod templates by the name of what makes pods of them."""
    found = {}
    for document in of_kind(documents, "Deployment", "Job", "CronJob"):
        spec = document["spec"]
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        found[document["metadata"]["name"]] = spec["template"]
    return found


def containers(template: Document) -> list[Document]:
    """All of a pod's containers, those that run before the others first."""
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def chosen(selector: dict[str, str], pods: dict[str, Document]) -> list[str]:
    """Names of the templates whose pods a selector's matchLabels choose."""
    return [
        name
        for name, template in pods.items()
        if selector.items() <= template["metadata"]["labels"].items()
    ]


def ports(container: Document) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


def _with(documents: list[Document], test: Any) -> Iterator[tuple[Document, Document]]:
    for template in templates(documents).values():
        for container in containers(template):
            if test(container):
                yield template, container


def model_servers(documents: list[Document]) -> list[tuple[Document, Document]]:
    """Pod and container of each TensorFlow Serving."""
    command = ["/usr/bin/tensorflow_model_server"]
    return list(_with(documents, lambda container: container.get("command") == command))


def gateways(documents: list[Document]) -> list[tuple[Document, Document]]:
    """Pod and container of each gateway."""
    return list(_with(documents, lambda c: "/lince-gateway:" in f"/{c['image']}"))


def flags(container: Document) -> dict[str, str]:
    """A model server's flags, as the kubelet hands them over."""
    cpus = str(whole_cpus(container["resources"]["limits"]["cpu"]))
    arguments = container["args"]
    if "$(CPUS)" in " ".join(arguments):
        [source] = [e["valueFrom"] for e in container["env"] if e["name"] == "CPUS"]
        assert source == {"resourceFieldRef": {"resource": "limits.cpu"}}
        arguments = [argument.replace("$(CPUS)", cpus) for argument in arguments]
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def config_maps(documents: list[Document]) -> dict[str, dict[str, str]]:
    return {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}


def variables(documents: list[Document], gateway: Document) -> dict[str, str]:
    """The environment of a gateway's container, as far as the manifests make it."""
    found: dict[str, str] = {}
    for source in gateway.get("envFrom", []):
        found |= config_maps(documents)[source["configMapRef"]["name"]]
    return found | {e["name"]: e["value"] for e in gateway.get("env", [])}


def settings(documents: list[Document], gateway: Document) -> Settings:
    """The settings of a gateway's container, checked as at its start."""
    found = variables(documents, gateway)
    assert all(name.startswith(PREFIX) for name in found)
    return Settings.from_environment(found)
