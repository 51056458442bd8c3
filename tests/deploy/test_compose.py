"""docker-compose.yml, the gateway's image and what they mount."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.up import model_config
from tests.programs import require

Document = dict[str, Any]


@pytest.fixture
def dockerfile(root: Path) -> str:
    return (root / "docker" / "gateway.Dockerfile").read_text()


def test_services_are_hardened(compose: Document) -> None:
    for name, service in compose["services"].items():
        assert service["init"] is True, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any(mount.startswith("/tmp") for mount in service["tmpfs"]), name
        assert service["cpus"] > 0, name
        assert service["mem_limit"], name


def test_ports_are_on_loopback_alone(compose: Document) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_model_server_can_neither_be_reached_nor_reach_out(compose: Document) -> None:
    service = compose["services"]["model-server"]
    assert "ports" not in service
    assert [compose["networks"][name] for name in service["networks"]] == [{"internal": True}]
    assert all(volume["read_only"] for volume in service["volumes"])


def test_what_is_mounted_exists(root: Path, compose: Document) -> None:
    binds = [
        volume["source"]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert "${LINCE_MODELS_DIR:-./models}" in binds
    assert all((root / source).exists() for source in binds if not source.startswith("$"))


def test_the_gateway_waits_for_the_models(compose: Document) -> None:
    services = compose["services"]
    assert services["gateway"]["depends_on"] == {"model-server": {"condition": "service_healthy"}}
    address = services["gateway"]["environment"]["LINCE_MODEL_SERVER"]
    assert address == "model-server:8500"
    assert "--port=8500" in services["model-server"]["command"]
    assert "/dev/tcp/127.0.0.1/8500" in services["model-server"]["healthcheck"]["test"][-1]
    drain = services["gateway"]["environment"]["LINCE_DRAIN_SECONDS"]
    assert int(services["gateway"]["stop_grace_period"].removesuffix("s")) >= int(drain) + 5


def test_prometheus_asks_what_is_there(root: Path, compose: Document) -> None:
    config = yaml.safe_load((root / "docker" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    [gateway] = jobs["gateway"]["static_configs"][0]["targets"]
    [model_server] = jobs["model-server"]["static_configs"][0]["targets"]
    services = compose["services"]
    assert gateway == f"gateway:{services['gateway']['environment']['LINCE_PORT']}"
    host, _, port = model_server.partition(":")
    assert f"--rest_api_port={port}" in services[host]["command"]
    monitoring = (root / "docker" / "model-server" / "monitoring.config").read_text()
    assert f'path: "{jobs["model-server"]["metrics_path"]}"' in monitoring


def _start(root: Path, tmp_path: Path, models: str) -> subprocess.CompletedProcess[str]:
    """Runs start.sh with a model server that only says how it was called."""
    program = tmp_path / "bin" / "tensorflow_model_server"
    program.parent.mkdir(exist_ok=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    for name in ("one", "two"):
        (tmp_path / "models" / name).mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        ["/bin/sh", str(root / "docker" / "model-server" / "start.sh"), "--port=8500"],
        env={
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "LINCE_MODELS": models,
            "MODEL_BASE_PATH": str(tmp_path / "models"),
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("models", ["one", "one,two", "one, two"])
def test_the_model_server_gets_its_models_and_flags(
    root: Path, tmp_path: Path, models: str
) -> None:
    done = _start(root, tmp_path, models)
    config = tmp_path / "models.config"
    assert done.stdout == f"--model_config_file={config} --port=8500\n"
    names = models.replace(" ", "").split(",")
    assert config.read_text() == model_config(tmp_path / "models", names)


def test_a_missing_model_is_named(root: Path, tmp_path: Path) -> None:
    done = _start(root, tmp_path, "one,three")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "three" in done.stderr


def test_the_image_is_small_and_unprivileged(dockerfile: str) -> None:
    assert dockerfile.count("\nFROM ${BASE_IMAGE}") == 2
    assert '".[gateway]"' in dockerfile
    assert "--constraint constraints.txt" in dockerfile
    last = dockerfile.rpartition("\nFROM ")[2]
    [user] = re.findall(r"^USER (\d+):\d+$", last, re.M)
    assert int(user) >= 1000
    [entrypoint] = re.findall(r"^ENTRYPOINT (.*)$", last, re.M)
    assert json.loads(entrypoint) == ["lince", "gateway"]
    assert "LINCE_HOST=0.0.0.0" in last
    assert "MALLOC_ARENA_MAX=2" in last


def test_image_and_pod_run_as_the_same_user(
    dockerfile: str, deployments: dict[str, Document]
) -> None:
    context = deployments["gateway"]["spec"]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile


def test_what_is_copied_reaches_the_builder(root: Path, dockerfile: str) -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M)
        for source in line.split()[:-1]
    }
    ignore = (root / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert all((root / name).exists() for name in copied)
    assert "*" in ignore


def test_every_package_is_copied(root: Path, dockerfile: str) -> None:
    packages = re.search(r"packages = \[(.*?)\]", (root / "pyproject.toml").read_text(), re.S)
    assert packages
    for name in re.findall(r'"([a-z]+)"', packages[1]):
        assert f"COPY {name} ./{name}\n" in dockerfile


def test_docker_compose_accepts_it(root: Path) -> None:
    done = subprocess.run(
        [require("docker-compose"), "--file", str(root / "docker-compose.yml"), "config"],
        env={**os.environ, "LINCE_MODELS": "one,two"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rendered = yaml.safe_load(done.stdout)["services"]
    assert set(rendered) == {"gateway", "model-server", "prometheus"}
    for name in ("gateway", "model-server"):
        assert rendered[name]["environment"]["LINCE_MODELS"] == "one,two"


def test_docker_compose_asks_for_the_models(root: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "LINCE_MODELS"}
    done = subprocess.run(
        [require("docker-compose"), "--file", str(root / "docker-compose.yml"), "config"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "name the models to serve" in done.stderr


def test_promtool_accepts_the_configuration(root: Path) -> None:
    done = subprocess.run(
        [require("promtool"), "check", "config", str(root / "docker" / "prometheus.yml")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
