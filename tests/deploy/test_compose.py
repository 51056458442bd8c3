"""docker-compose.yml and what it mounts."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.settings import Settings
from server.model_server.flags import IGNORED, Options
from server.up import model_config
from tests.programs import require

pytestmark = pytest.mark.heavy

Document = dict[str, Any]
PROFILES = ("embedded", "monitoring", "train")
# Since this version a dependency may be one that isn't there.
NEW_ENOUGH = (2, 20, 2)


def _mounts(service: Document) -> list[tuple[str, str, str]]:
    """Source, target and mode of each volume, with the defaults of variables filled in."""
    mounts = []
    for text in service.get("volumes", []):
        source, target, *mode = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).split(":")
        mounts.append((source, target, mode[0] if mode else "rw"))
    return mounts


def test_services_are_hardened(compose: Document) -> None:
    for name, service in compose["services"].items():
        assert service["init"] is True, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any(mount.startswith("/tmp") for mount in service["tmpfs"]), name
        assert service["cpus"] > 0, name
        assert service["mem_limit"], name
        assert service["pids_limit"], name


def test_ports_are_on_loopback_alone(compose: Document) -> None:
    services = compose["services"]
    ports = {name: port for name in services for port in services[name].get("ports", [])}
    assert set(ports) == {"gateway", "grafana", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for port in ports.values())


@pytest.mark.parametrize("name", ["model-server", "model-server-embedded"])
def test_a_model_server_can_neither_be_reached_nor_reach_out(compose: Document, name: str) -> None:
    service = compose["services"][name]
    assert "ports" not in service
    assert list(service["networks"]) == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert all(mode == "ro" for _, _, mode in _mounts(service))


def test_the_stand_in_differs_in_its_program_alone(compose: Document) -> None:
    real, embedded = (
        compose["services"][name] for name in ("model-server", "model-server-embedded")
    )
    assert embedded["networks"] == {"inside": {"aliases": ["model-server"]}}
    own = {"build", "entrypoint", "healthcheck", "image", "networks", "platform", "profiles"}
    for key in {*real, *embedded} - own:
        assert real[key] == embedded[key], key
    for service, program in ((real, "tensorflow_model_server"), (embedded, "lince")):
        assert service["entrypoint"][:3] == ["/bin/sh", "/config/start.sh", program]
    flag = embedded["entrypoint"][-1].removeprefix("--").partition("=")[0]
    assert flag in {field.name for field in fields(Options)} | set(IGNORED)


def test_what_is_mounted_exists(root: Path, compose: Document) -> None:
    for name, service in compose["services"].items():
        for source, _, mode in _mounts(service):
            if source.startswith("./"):
                assert (root / source).is_dir(), name
                assert mode == "ro", name
            else:
                assert source in compose["volumes"], name


def test_the_configuration_files_of_the_flags_are_mounted(root: Path, compose: Document) -> None:
    service = compose["services"]["model-server"]
    mounts = {target: source for source, target, _ in _mounts(service)}
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    for flag in ("monitoring_config_file", "batching_parameters_file"):
        path = Path(flags[flag])
        assert (root / mounts[str(path.parent)] / path.name).is_file()
    batching = (root / "docker" / "model-server" / "batching.config").read_text()
    found = {name: int(n) for name, n in re.findall(r"^(\w+) { value: (\d+) }$", batching, re.M)}
    assert found["num_batch_threads"] == service["cpus"]
    # A call with more rows than that would be refused.
    assert found["max_batch_size"] >= Settings().max_batch


def test_the_gateway_waits_for_the_models(compose: Document) -> None:
    services = compose["services"]
    assert services["gateway"]["depends_on"] == {"model-server": {"condition": "service_healthy"}}
    address = services["gateway"]["environment"]["LINCE_MODEL_SERVER"]
    assert address == "model-server:8500"
    assert "--port=8500" in services["model-server"]["command"]
    assert "/dev/tcp/127.0.0.1/8500" in services["model-server"]["healthcheck"]["test"][-1]
    drain = services["gateway"]["environment"]["LINCE_DRAIN_SECONDS"]
    assert int(services["gateway"]["stop_grace_period"].removesuffix("s")) >= int(drain) + 5


def test_the_model_server_waits_for_the_first_model(compose: Document) -> None:
    services = compose["services"]
    train = services["train"]
    assert services["model-server"]["depends_on"] == {
        "train": {"condition": "service_completed_successfully", "required": False}
    }
    assert train["restart"] == "no"
    assert train["environment"] == services["model-server"]["environment"]
    [written] = [source for source, target, _ in _mounts(train) if target == "/models"]
    [read] = [source for source, target, _ in _mounts(services["model-server"])][:1]
    assert written == read == "models"


def test_prometheus_asks_what_is_there(root: Path, compose: Document) -> None:
    services = compose["services"]
    [source] = [
        source for source, target, _ in _mounts(services["prometheus"]) if target != "/prometheus"
    ]
    config = yaml.safe_load((root / source / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    [gateway] = jobs["gateway"]["static_configs"][0]["targets"]
    [model_server] = jobs["model-server"]["static_configs"][0]["targets"]
    assert gateway == f"gateway:{services['gateway']['environment']['LINCE_PORT']}"
    host, _, port = model_server.partition(":")
    assert f"--rest_api_port={port}" in services[host]["command"]
    monitoring = (root / "docker" / "model-server" / "monitoring.config").read_text()
    assert f'path: "{jobs["model-server"]["metrics_path"]}"' in monitoring


def test_grafana_finds_prometheus_and_the_dashboards(root: Path, compose: Document) -> None:
    services = compose["services"]
    mounts = {target: source for source, target, _ in _mounts(services["grafana"])}
    provisioning = root / mounts["/etc/grafana/provisioning"]
    [datasources] = (provisioning / "datasources").glob("*.yml")
    [datasource] = yaml.safe_load(datasources.read_text())["datasources"]
    assert datasource["url"] == "http://prometheus:9090"
    assert ":9090" in services["prometheus"]["ports"][0]
    [dashboards] = (provisioning / "dashboards").glob("*.yml")
    [provider] = yaml.safe_load(dashboards.read_text())["providers"]
    assert list((root / mounts[provider["options"]["path"]]).glob("*.json"))


def _start(
    root: Path, tmp_path: Path, models: str, program: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    """Runs start.sh with a model server that only says how it was called."""
    file = tmp_path / "bin" / program[0]
    file.parent.mkdir(exist_ok=True)
    file.write_text('#!/bin/sh\necho "$0" "$@"\n')
    file.chmod(0o755)
    for name in ("one", "two"):
        (tmp_path / "models" / name).mkdir(parents=True, exist_ok=True)
    script = root / "docker" / "model-server" / "start.sh"
    return subprocess.run(
        ["/bin/sh", str(script), *program, "--port=8500"],
        env={
            "PATH": f"{file.parent}:{os.environ['PATH']}",
            "LINCE_MODELS": models,
            "MODEL_BASE_PATH": str(tmp_path / "models"),
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("models", ["one", "one,two", "one, two"])
@pytest.mark.parametrize("program", [("tensorflow_model_server",), ("lince", "model-server")])
def test_the_model_server_gets_its_models_and_flags(
    root: Path, tmp_path: Path, models: str, program: tuple[str, ...]
) -> None:
    done = _start(root, tmp_path, models, program)
    config = tmp_path / "models.config"
    called = (str(tmp_path / "bin" / program[0]), *program[1:])
    assert done.stdout.split() == [*called, "--port=8500", f"--model_config_file={config}"]
    names = models.replace(" ", "").split(",")
    assert config.read_text() == model_config(tmp_path / "models", names)


def test_a_missing_model_is_named(root: Path, tmp_path: Path) -> None:
    done = _start(root, tmp_path, "one,three", ("tensorflow_model_server",))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "three" in done.stderr


def _version(program: str) -> tuple[int, ...]:
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    found = re.search(r"version v?(\d+)\.(\d+)\.(\d+)", done.stdout)
    assert found, done.stdout
    return tuple(int(part) for part in found.groups())


@pytest.fixture
def read_by_compose(root: Path, tmp_path: Path) -> Callable[..., Document]:
    """Has docker-compose read the file, with some variables, and gives what it made of it."""

    def with_compose(*profiles: str, **variables: str) -> Document:
        program, text = require("docker-compose"), (root / "docker-compose.yml").read_text()
        if _version(program) < NEW_ENOUGH:  # it knows all but this word
            text, found = re.subn(r"^ +required: false\n", "", text, flags=re.M)
            assert found == 1
        (tmp_path / "docker-compose.yml").write_text(text)
        done = subprocess.run(
            [program, "--project-directory", str(root), "--file", "docker-compose.yml"]
            + [word for profile in profiles for word in ("--profile", profile)]
            + ["config"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rendered = yaml.safe_load(done.stdout)
        assert isinstance(rendered, dict)
        return rendered

    return with_compose


def test_docker_compose_accepts_it(
    compose: Document, read_by_compose: Callable[..., Document]
) -> None:
    services = read_by_compose(*PROFILES, LINCE_MODELS="one,two")["services"]
    assert set(services) == set(compose["services"])
    for name in ("gateway", "model-server", "model-server-embedded", "train"):
        assert services[name]["environment"]["LINCE_MODELS"] == "one,two"


def test_without_a_profile_it_is_the_system_alone(
    compose: Document, read_by_compose: Callable[..., Document]
) -> None:
    plain = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert plain == {"gateway", "model-server", "prometheus"}
    assert plain <= set(read_by_compose()["services"])


@pytest.mark.parametrize(
    ("folder", "kind", "source"),
    [("", "volume", "models"), ("./models", "bind", "{root}/models"), ("/srv", "bind", "/srv")],
)
def test_models_come_from_a_volume_or_a_folder(
    root: Path, read_by_compose: Callable[..., Document], folder: str, kind: str, source: str
) -> None:
    service = read_by_compose(LINCE_MODELS_DIR=folder)["services"]["model-server"]
    [mount] = [mount for mount in service["volumes"] if _target(mount) == "/models"]
    source = source.format(root=root)
    if isinstance(mount, str):  # as older versions print them
        assert mount == f"{source}:/models:ro"
        return
    assert (mount["type"], mount["source"]) == (kind, source)
    assert mount["read_only"] is True


def _target(mount: Any) -> str:
    return str(mount.split(":")[1] if isinstance(mount, str) else mount["target"])
