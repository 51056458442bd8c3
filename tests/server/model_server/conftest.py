"""Tiny SavedModels, written once for all tests of the embedded model server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.model_server.config import ModelConfig
from tests.server.model_server import helpers


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The SavedModels by name: `two` and `three` scale by that much, `conv` is a convolution,
    the rest is for REST: see helpers.
    """
    root = tmp_path_factory.mktemp("saved")
    helpers.save_scaler(root / "two", 2.0)
    helpers.save_scaler(root / "three", 3.0)
    helpers.save_convolution(root / "conv")
    helpers.save_neuron(root / "neuron")
    helpers.save_features(root / "features")
    helpers.save_mixed(root / "mixed")
    shutil.copytree(root / "two", root / "defaults")
    helpers.add_defaults(root / "defaults", "pair", "b", [10, 10, 10, 10])
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def publish(saved: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """Put a SavedModel in place as a version, at once, as export does."""

    def put(name: str, version: str, base: str = "m", source: Path | None = None) -> Path:
        target = tmp_path / base / version
        target.parent.mkdir(exist_ok=True)
        beside = tmp_path / f"{base}-{version}"
        shutil.copytree(source or saved[name], beside)
        return beside.rename(target)

    return put


@pytest.fixture(scope="session")
def api(saved: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with the models m (version 7), conv and defaults, for tests that change nothing."""
    root = tmp_path_factory.mktemp("served")
    versions = {"m": ("two", "7"), "conv": ("conv", "00001"), "defaults": ("defaults", "1")}
    for model, (name, version) in versions.items():
        shutil.copytree(saved[name], root / model / version)
    models = [ModelConfig(model, str(root / model)) for model in versions]
    with helpers.running(*models, health=True) as (stubs, manager, _):
        for model, (_, version) in versions.items():
            helpers.settled(manager, model, {int(version): "AVAILABLE"})
        yield stubs


@pytest.fixture(scope="session")
def served(
    saved: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[helpers.Served]:
    """REST and gRPC with the models m, conv, mixed, neuron and features, all of version 7."""
    root = tmp_path_factory.mktemp("rest")
    names = {name: name for name in ("conv", "mixed", "neuron", "features")} | {"m": "two"}
    for model, name in names.items():
        shutil.copytree(saved[name], root / model / "7")
    models = [ModelConfig(model, str(root / model)) for model in names]
    with helpers.running(*models) as (stubs, manager, _):
        for model in names:
            helpers.settled(manager, model, {7: "AVAILABLE"})
        with helpers.rest_running(manager) as server:
            yield helpers.Served(stubs, manager, server.port)
