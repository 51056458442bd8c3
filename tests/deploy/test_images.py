"""The Dockerfiles: what they say of each other, of the package and of the deployments."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client.gateway.version import VERSION
from tests.programs import require

Document = dict[str, Any]
#: What each image installs, and how it starts.
IMAGES = {
    "gateway": ("gateway", ["lince", "gateway"]),
    "model-server": ("model-server", ["lince", "model-server"]),
    "client": ("score", ["lince"]),
    "trainer": ('"$EXTRAS"', ["lince"]),
}


@pytest.fixture(params=IMAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dockerfile(root: Path, name: str) -> str:
    return (root / "docker" / f"{name}.Dockerfile").read_text()


def _copied(dockerfile: str) -> list[str]:
    return [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M)
        for source in line.split()[:-1]
    ]


def test_every_image_is_in_the_table(root: Path) -> None:
    found = {path.stem for path in (root / "docker").glob("*.Dockerfile")}
    assert found == set(IMAGES)


def test_the_base_is_pinned_and_the_same(root: Path, compose: Document, dockerfile: str) -> None:
    assert dockerfile.count("\nFROM ${BASE_IMAGE}") == 2
    [base] = re.findall(r"^ARG BASE_IMAGE=(.*)$", dockerfile, re.M)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base)
    assert compose["x-build-args"]["BASE_IMAGE"] == f"${{BASE_IMAGE:-{base}}}"


def test_only_what_is_needed_is_installed(root: Path, name: str, dockerfile: str) -> None:
    extras, _ = IMAGES[name]
    [line] = re.findall(r"^RUN .*docker/install (.*)$", dockerfile, re.M)
    assert line == extras
    [default] = re.findall(r"^ARG EXTRAS=(.*)$", dockerfile, re.M) or [extras]
    [section] = re.findall(
        r"^\[project\.optional-dependencies\]\n(.*?)^\[",
        (root / "pyproject.toml").read_text(),
        re.M | re.S,
    )
    assert set(default.split(",")) <= set(re.findall(r"^([a-z-]+) = ", section, re.M))


def test_it_is_unprivileged_and_signals_arrive(name: str, dockerfile: str) -> None:
    last = dockerfile.rpartition("\nFROM ")[2]
    [user] = re.findall(r"^USER (\d+):\d+$", last, re.M)
    assert int(user) >= 1000
    [entrypoint] = re.findall(r"^ENTRYPOINT (.*)$", last, re.M)
    _, wanted = IMAGES[name]
    assert json.loads(entrypoint)[: len(wanted)] == wanted  # a list: no shell in between
    [health] = re.findall(r"^HEALTHCHECK ((?:.*\\\n)?.*)$", last, re.M)
    assert health == "NONE" or 'CMD ["python3", "-c"' in health


def test_labels_say_what_it_is(name: str, dockerfile: str) -> None:
    labels = dict(re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]*)"', dockerfile))
    prefix = "org.opencontainers.image."
    assert labels.pop(prefix + "title") == f"lince-{name}"
    assert labels.pop(prefix + "description")
    assert labels == {
        prefix + "licenses": "Apache-2.0",
        prefix + "version": "${VERSION}",
        prefix + "revision": "${REVISION}",
    }
    assert f"ARG VERSION={VERSION}\n" in dockerfile


def test_what_is_copied_reaches_the_builder(root: Path) -> None:
    ignore = (root / ".dockerignore").read_text().splitlines()
    copied = {
        source
        for path in (root / "docker").glob("*.Dockerfile")
        for source in _copied(path.read_text())
    }
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert all((root / source).exists() for source in copied)
    assert "*" in ignore


def test_every_package_is_copied(root: Path, dockerfile: str) -> None:
    packages = re.search(r"packages = \[(.*?)\]", (root / "pyproject.toml").read_text(), re.S)
    assert packages
    for package in re.findall(r'"([a-z]+)"', packages[1]):
        assert f"COPY {package} ./{package}\n" in dockerfile


def test_the_stages_that_build_are_the_same(root: Path) -> None:
    """So that a change for one image is not forgotten for another."""
    stages = set()
    for path in (root / "docker").glob("*.Dockerfile"):
        stage = path.read_text().partition(" AS build\n")[2].partition("\nFROM ")[0]
        stage = re.sub(r"^ARG EXTRAS=.*\n", "", stage, flags=re.M)
        stages.add(re.sub(r"docker/install .*", "docker/install", stage))
    assert len(stages) == 1


def test_images_of_compose_are_built_from_them(root: Path, compose: Document) -> None:
    built = {name: s for name, s in compose["services"].items() if "build" in s}
    assert set(built) == {"gateway", "model-server-embedded", "train"}
    for service in built.values():
        stem = Path(service["build"]["dockerfile"]).stem
        assert (root / service["build"]["dockerfile"]).is_file()
        assert service["image"].endswith(f":-lince-{stem}:{VERSION}}}")


def test_hadolint_has_nothing_to_say(root: Path) -> None:
    files = sorted(str(path) for path in (root / "docker").glob("*.Dockerfile"))
    beside = Path(sys.executable).parent / "hadolint"
    program = str(beside) if beside.exists() else require("hadolint")
    done = subprocess.run([program, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def trainer(root: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which `lince` only writes down what it is asked, and exports a version."""
    program = tmp_path / "bin" / "lince"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$*" >>"$LINCE_MODELS_DIR/calls"\n'
        '[ "$2" != bad ] || exit 3\n'
        'if [ "$2" = slow ]; then trap "exit 130" TERM; echo fitting; sleep 60 & wait; fi\n'
        'if [ "$1" = export ]; then mkdir -p "$LINCE_MODELS_DIR/$2/1"; fi\n'
    )
    program.chmod(0o755)
    (tmp_path / "models").mkdir()
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "LINCE_MODELS_DIR": str(tmp_path / "models"),
    }


def _first_models(root: Path, environment: dict[str, str], models: str) -> int:
    script = root / "docker" / "trainer" / "first-models.sh"
    done = subprocess.run([str(script)], env=environment | {"LINCE_MODELS": models})
    return done.returncode


def _calls(environment: dict[str, str]) -> list[str]:
    return (Path(environment["LINCE_MODELS_DIR"]) / "calls").read_text().splitlines()


def test_only_models_without_a_version_are_trained(root: Path, trainer: dict[str, str]) -> None:
    (Path(trainer["LINCE_MODELS_DIR"]) / "two" / ".publishing").mkdir(parents=True)
    assert _first_models(root, trainer, "one, two") == 0
    made = ["train one", "export one", "train two", "export two"]
    assert _calls(trainer) == made
    assert _first_models(root, trainer, "one,two") == 0
    assert _calls(trainer) == made
    shutil.rmtree(Path(trainer["LINCE_MODELS_DIR"]) / "one")
    assert _first_models(root, trainer, "one,two") == 0
    assert _calls(trainer) == [*made, "train one", "export one"]


def test_the_trainer_stops_at_what_fails(root: Path, trainer: dict[str, str]) -> None:
    assert _first_models(root, trainer, "one,bad,two") == 3
    assert _calls(trainer) == ["train one", "export one", "train bad"]


def test_the_trainer_hands_signals_on(root: Path, trainer: dict[str, str]) -> None:
    script = root / "docker" / "trainer" / "first-models.sh"
    with subprocess.Popen(
        [str(script)], env=trainer | {"LINCE_MODELS": "slow"}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "fitting\n"
        process.terminate()
        assert process.wait() == 130
    assert _calls(trainer) == ["train slow"]
