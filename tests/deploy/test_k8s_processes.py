"""What the manifests start, started here: the pods' own commands, flags, files and variables.

Only what a cluster makes is replaced: folders, ports, and the name of the model server's service.
The embedded model server stands in for TensorFlow Serving.
"""

import io
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from server.ports import free_port
from tests.certificates import identity
from tests.deploy import pods
from tests.deploy.pods import Document
from tests.integration.processes import LINCE, started, wait_until

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Place:
    """Where the pods' folders are on this machine."""

    folder: Path

    def path(self, text: str) -> str:
        """A path of a container, or a text that holds some."""
        for name in ("/models/", "/config/", "/socket/", "/ssl/", "/tls/"):
            text = text.replace(name, f"{self.folder}{name}")
        return text


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of the model images, by image: two versions of a model."""
    from export.package import package
    from tests.integration.artifacts import publish_random

    folder = tmp_path_factory.mktemp("images")
    made = {}
    for number in (1, 2):
        version = publish_random(folder / "published", "digits-cnn", ("even", "odd"), 16)
        assert version.number == number
        package([version], folder / str(number))
        made[f"lince-model-digits-cnn:{number}"] = folder / str(number)
    return made


def _prepare(
    place: Place, template: Document, documents: list[Document], images: dict[str, Path]
) -> None:
    """Fills the volumes: config maps, certificates, and what the init containers put there."""
    for name in ("models", "config", "socket", "ssl", "tls"):
        (place.folder / name).mkdir()
    for data in pods.config_maps(documents).values():
        for name, text in data.items():
            if name.endswith(".config"):
                (place.folder / "config" / name).write_text(place.path(text))
    authority = identity("authority")
    own = identity("localhost", authority)
    for name, text in (
        ("tls.key", own.key_pem()),
        ("tls.crt", own.certificate_pem()),
        ("ca.crt", authority.certificate_pem()),
    ):
        (place.folder / "tls" / name).write_text(text)
    for container in template["spec"]["initContainers"]:
        if container.get("restartPolicy") == "Always":
            continue
        command = list(container["command"])
        if container["image"] in images:
            source = images[container["image"]]
            command = [
                word.replace("/models/", f"{source}/models/").replace(
                    "/volume/", f"{place.folder}/models/"
                )
                for word in command
            ]
        given = {e["name"]: place.folder / e["value"][1:] for e in container.get("env", [])}
        subprocess.run(command, env={**os.environ, **given}, check=True)


def _flags(place: Place, container: Document) -> tuple[list[str], int]:
    """The model server's flags here, and its gRPC port."""
    port = free_port()
    flags = {name: place.path(value) for name, value in pods.flags(container).items()}
    flags |= {"port": str(port), "rest_api_port": str(free_port())}
    return [f"--{name}={value}" for name, value in flags.items()], port


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["base+canary+tls", "overlays/sidecar"])
def test_a_picture_is_classified(
    name: str,
    render: Callable[[str], list[Document]],
    images: dict[str, Path],
    tmp_path: Path,
) -> None:
    documents, place = render(name), Place(tmp_path / "pod")
    place.folder.mkdir()
    [(template, server)] = pods.model_servers(documents)
    [(_, gateway)] = pods.gateways(documents)
    _prepare(place, template, documents, images)
    flags, grpc_port = _flags(place, server)
    port, metrics_port = free_port(), free_port()
    variables = pods.variables(documents, gateway)
    address = variables["LINCE_MODEL_SERVER"]
    if address.startswith("dns:"):
        address = f"dns:///localhost:{grpc_port}"
    variables = {key: place.path(value) for key, value in variables.items()} | {
        "LINCE_MODEL_SERVER": place.path(address),
        "LINCE_HOST": "127.0.0.1",
        "LINCE_METRICS_HOST": "127.0.0.1",
        "LINCE_PORT": str(port),
        "LINCE_METRICS_PORT": str(metrics_port),
    }
    url = f"http://127.0.0.1:{port}"
    with (
        started([*LINCE, "model-server", *flags], tmp_path / "model-server.log"),
        started([*LINCE, "gateway"], tmp_path / "gateway.log", **variables) as running,
    ):
        wait_until(lambda: _status(f"{url}/readyz") == 200, "the gateway", running)
        where = ["", "/labels/stable", "/labels/canary"] if "canary" in name else [""]
        versions = []
        for part in where:
            path = f"{url}/v1/models/digits-cnn{part}:classify"
            answer = httpx.post(path, content=_picture(), trust_env=False, timeout=30)
            assert answer.status_code == 200, answer.text
            versions.append(answer.json()["version"])
        assert versions[1:] == (["1", "2"] if "canary" in name else [])
        assert _status(f"http://127.0.0.1:{metrics_port}/metrics") == 200
        assert _status(f"{url}/metrics") == 404
        assert running.stop() == 0


def _status(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False, timeout=10).status_code
    except httpx.TransportError:
        return 0
