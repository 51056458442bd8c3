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

from client.gateway.version import VERSION
from contract.settings import PREFIX, Settings
from server.model_server.flags import IGNORED, Options
from tests.deploy.quantities import to_bytes, to_cpus

BYTES_PER_PIXEL = 25  # measured: a PNG with transparency is the worst
COPIES_OF_BODY = 2  # as JSON, and decoded from base64; as it came it is held before

VARIABLES = {PREFIX + field.name.upper() for field in fields(Settings)}
FILES = ("docker-compose.yml", "docker", "k8s", ".dockerignore")


def _texts(root: Path) -> dict[Path, str]:
    paths = [path for name in FILES for path in [root / name, *(root / name).rglob("*")]]
    return {path: path.read_text() for path in paths if path.is_file()}


def _flags(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


@pytest.fixture(params=["compose", "k8s"])
def model_server(
    request: pytest.FixtureRequest, compose: dict[str, Any], deployments: dict[str, Any]
) -> dict[str, Any]:
    """TensorFlow Serving's flags, CPU limit and memory, here and there."""
    if request.param == "compose":
        service = compose["services"]["model-server"]
        return {"flags": _flags(service["command"]), "cpus": to_cpus(service["cpus"])}
    [container] = deployments["model-server"]["spec"]["containers"]
    cpus = to_cpus(container["resources"]["limits"]["cpu"])
    return {"flags": _flags(container["args"]), "cpus": cpus}


@pytest.fixture(params=["compose", "k8s"])
def gateway(
    request: pytest.FixtureRequest,
    compose: dict[str, Any],
    deployments: dict[str, Any],
    settings_in_base: dict[str, str],
) -> dict[str, Any]:
    """The gateway's settings and memory, here and there."""
    if request.param == "compose":
        service = compose["services"]["gateway"]
        [tmp] = service["tmpfs"]
        return {
            "variables": service["environment"] | {"LINCE_MODELS": "m"},
            "memory": to_bytes(service["mem_limit"]),
            "tmp": to_bytes(tmp.partition("size=")[2]),
            "ports": [service["ports"][0].rpartition(":")[2]],
        }
    spec = deployments["gateway"]["spec"]
    [container] = spec["containers"]
    [tmp] = [v["emptyDir"] for v in spec["volumes"] if v["name"] == "tmp"]
    return {
        "variables": settings_in_base,
        "memory": to_bytes(container["resources"]["limits"]["memory"]),
        "tmp": to_bytes(tmp["sizeLimit"]),
        "ports": [str(port["containerPort"]) for port in container["ports"]],
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
    settings = Settings.from_environment(gateway["variables"])
    assert settings.models
    assert settings.host == "0.0.0.0"
    assert [str(settings.port)] == gateway["ports"]


def test_memory_is_enough_for_the_worst_case(gateway: dict[str, Any]) -> None:
    settings = Settings.from_environment(gateway["variables"])
    at_once = settings.workers * settings.threads
    request = COPIES_OF_BODY * settings.max_body_bytes + BYTES_PER_PIXEL * settings.max_image_pixels
    held = settings.workers * settings.max_buffered_bytes
    assert 150 * 2**20 + held + at_once * request <= gateway["memory"]
    assert at_once * settings.max_body_bytes <= gateway["tmp"]


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
    compose: dict[str, Any], deployments: dict[str, Any]
) -> None:
    here = _flags(compose["services"]["model-server"]["command"])
    there = _flags(deployments["model-server"]["spec"]["containers"][0]["args"])
    # Compose writes the list of models at start, and has one model server to be found.
    del there["model_config_file"], there["grpc_channel_arguments"]
    assert here == there


def test_images_are_the_same_and_pinned(
    root: Path, compose: dict[str, Any], deployments: dict[str, Any]
) -> None:
    dockerfile = (root / "docker" / "gateway.Dockerfile").read_text()
    services = compose["services"]
    chosen = {name: _default(service["image"]) for name, service in services.items()}
    for name, template in deployments.items():
        assert template["spec"]["containers"][0]["image"] == chosen[name]
    assert chosen["gateway"] == f"lince-gateway:{VERSION}"
    assert f"ARG VERSION={VERSION}\n" in dockerfile
    base = _default(services["gateway"]["build"]["args"]["BASE_IMAGE"])
    assert f"ARG BASE_IMAGE={base}\n" in dockerfile
    for image in [*chosen.values(), base]:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z-]+)?$", image), image


def test_model_server_is_not_older_than_the_exporter(root: Path, compose: dict[str, Any]) -> None:
    serving = _default(compose["services"]["model-server"]["image"]).rpartition(":")[2]
    constraints = (root / "constraints.txt").read_text()
    [exporter] = re.findall(r"^tensorflow==(\S+)$", constraints, re.M)
    assert _minor(serving) >= _minor(exporter)


def test_monitoring_config_is_the_same_here_and_there(root: Path) -> None:
    here = (root / "docker" / "model-server" / "monitoring.config").read_text()
    assert here == (root / "k8s" / "base" / "monitoring.config").read_text()


def test_probe_paths_are_routes(
    root: Path, compose: dict[str, Any], deployments: dict[str, Any]
) -> None:
    [container] = deployments["gateway"]["spec"]["containers"]
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
