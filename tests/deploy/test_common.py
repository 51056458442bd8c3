"""What holds for Compose, Kubernetes and the image alike."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from yamllint import linter
from yamllint.config import YamlLintConfig

from client.gateway.connection import API_KEY_VARIABLE
from client.gateway.version import VERSION
from contract.settings import PREFIX, Settings
from server.model_server.flags import IGNORED, Options
from tests.deploy import pods
from tests.deploy.quantities import gateway_memory, to_bytes, to_cpus

VARIABLES = {PREFIX + field.name.upper() for field in fields(Settings)}
# Of the command line's, not of the processes that read the settings.
VARIABLES |= {API_KEY_VARIABLE}
FILES = ("docker-compose.yml", "docker", "k8s", "monitoring", ".dockerignore")


def _texts(root: Path) -> dict[Path, str]:
    paths = [path for name in FILES for path in [root / name, *(root / name).rglob("*")]]
    # Python leaves its own files beside a script that was imported.
    return {path: path.read_text() for path in paths if path.is_file() and path.suffix != ".pyc"}


def _flags(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


@pytest.fixture(params=["compose", "k8s"])
def model_server(
    request: pytest.FixtureRequest, compose: dict[str, Any], base: list[pods.Document]
) -> dict[str, Any]:
    """TensorFlow Serving's flags and CPU limit, here and there."""
    if request.param == "compose":
        service = compose["services"]["model-server"]
        return {"flags": _flags(service["command"]), "cpus": to_cpus(service["cpus"])}
    [(_, container)] = pods.model_servers(base)
    cpus = to_cpus(container["resources"]["limits"]["cpu"])
    return {"flags": pods.flags(container), "cpus": cpus}


@pytest.fixture(params=["compose", "k8s"])
def gateway(
    request: pytest.FixtureRequest, compose: dict[str, Any], base: list[pods.Document]
) -> dict[str, Any]:
    """The gateway's settings and memory, here and there."""
    if request.param == "compose":
        service = compose["services"]["gateway"]
        variables = service["environment"] | {"LINCE_MODELS": "m"}
        return {
            "settings": Settings.from_environment(variables),
            "memory": to_bytes(service["mem_limit"]),
            "cpus": to_cpus(service["cpus"]),
            "ports": [service["ports"][0].rpartition(":")[2]],
        }
    [(_, container)] = pods.gateways(base)
    limits = container["resources"]["limits"]
    return {
        "settings": pods.settings(base, container),
        "memory": to_bytes(limits["memory"]),
        "cpus": to_cpus(limits["cpu"]),
        "ports": [str(pods.ports(container)["http"])],
    }


def test_every_yaml_file_is_clean(root: Path) -> None:
    config = YamlLintConfig(file=str(root / ".yamllint"))
    found = [
        f"{path}:{problem}"
        for path, text in _texts(root).items()
        if path.suffix in (".yml", ".yaml")
        for problem in linter.run(text, config)
    ]
    assert found == []


def test_every_variable_is_a_setting(root: Path) -> None:
    for path, text in _texts(root).items():
        # A name that stands for many, as in LINCE_*, is not a variable.
        unknown = set(re.findall(r"\bLINCE_[A-Z_]*[A-Z]\b", text)) - VARIABLES
        assert unknown == set(), path


def test_settings_are_accepted(gateway: dict[str, Any]) -> None:
    settings = gateway["settings"]
    assert settings.models
    assert settings.host == "0.0.0.0"
    assert [str(settings.port)] == gateway["ports"]


def test_memory_is_enough_for_the_worst_case(gateway: dict[str, Any]) -> None:
    assert gateway_memory(gateway["settings"], gateway["cpus"]) <= gateway["memory"]


def test_model_server_flags_are_known(model_server: dict[str, Any]) -> None:
    known = {field.name for field in fields(Options)} | set(IGNORED)
    assert set(model_server["flags"]) - known == set()


def test_threads_agree_with_the_cpu_limit(model_server: dict[str, Any]) -> None:
    flags, cpus = model_server["flags"], model_server["cpus"]
    assert int(flags["tensorflow_intra_op_parallelism"]) == cpus
    assert 1 <= int(flags["tensorflow_inter_op_parallelism"]) <= 2 * cpus
    # Without them the model server counts the machine's CPUs.
    assert int(flags["grpc_max_threads"]) >= cpus
    assert int(flags["rest_api_num_threads"]) >= 1


def test_flags_are_the_same_here_and_there(
    compose: dict[str, Any], base: list[pods.Document]
) -> None:
    here = _flags(compose["services"]["model-server"]["command"])
    [(_, container)] = pods.model_servers(base)
    there = pods.flags(container)
    # Compose writes the list of models at start, has one model server to be found, and no labels.
    del there["model_config_file"], there["grpc_channel_arguments"]
    for flag in ("allow_version_labels_for_unavailable_models",):
        assert there.pop(flag) == here.pop(flag, "true")
    assert here == there


def test_images_are_the_same_and_pinned(
    root: Path, compose: dict[str, Any], base: list[pods.Document]
) -> None:
    dockerfile = (root / "docker" / "gateway.Dockerfile").read_text()
    services = compose["services"]
    used = {name: _default(service["image"]) for name, service in services.items()}
    for name, [(_, container)] in (
        ("gateway", pods.gateways(base)),
        ("model-server", pods.model_servers(base)),
    ):
        assert container["image"] == used[name]
    assert used["gateway"] == f"lince-gateway:{VERSION}"
    assert f"ARG VERSION={VERSION}\n" in dockerfile
    image = re.search(r"^ARG BASE_IMAGE=(\S+)$", dockerfile, re.M)
    assert image
    for name in [*used.values(), image[1]]:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z-]+)?$", name), name


def test_images_of_jobs_are_those_of_this_version(root: Path) -> None:
    names = {
        match
        for path in (root / "k8s").rglob("*.yaml")
        for match in re.findall(r"image: (lince-\S+)", path.read_text())
        if not match.startswith("lince-model-")
    }
    assert names == {f"lince-{name}:{VERSION}" for name in ("gateway", "trainer", "client")}


def test_model_server_is_not_older_than_the_exporter(root: Path, compose: dict[str, Any]) -> None:
    serving = _default(compose["services"]["model-server"]["image"]).rpartition(":")[2]
    constraints = (root / "constraints.txt").read_text()
    [exporter] = re.findall(r"^tensorflow==(\S+)$", constraints, re.M)
    assert _minor(serving) >= _minor(exporter)


def test_probe_paths_are_routes(
    root: Path, compose: dict[str, Any], base: list[pods.Document]
) -> None:
    [(_, container)] = pods.gateways(base)
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = [container[kind]["httpGet"]["path"] for kind in kinds]
    assert paths == ["/livez", "/livez", "/readyz"]
    healthy = " ".join(compose["services"]["gateway"]["healthcheck"]["test"])
    dockerfile = (root / "docker" / "gateway.Dockerfile").read_text()
    for text in (healthy, dockerfile):
        paths += re.findall(r"request\('GET', '([^']+)'\)", text)
    assert len(paths) == 5
    # In a process of its own, since the application starts a thread and opens a channel.
    code = (
        "from server.app import create_app; from contract.settings import Settings;"
        "print(*(r.rule for r in create_app(Settings(models=('m',))).url_map.iter_rules()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert {*paths, "/metrics"} <= set(done.stdout.split())


def _default(text: str) -> str:
    """What ${NAME:-default} is without the variable."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
