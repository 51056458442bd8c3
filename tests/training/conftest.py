"""Fixtures of the tests of training."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from tests.training import helpers


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[helpers.Web]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with helpers.web_server() as server:
        yield server


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two epochs of digits-cnn, evaluated; not to be changed."""
    return helpers.run_of("digits-cnn", tmp_path_factory.mktemp("digits"), epochs=2)[0]


@pytest.fixture(scope="session")
def three_colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three classes with 20 pictures each."""
    counts = dict.fromkeys(("red", "green", "blue"), 20)
    return helpers.class_folders(tmp_path_factory.mktemp("data") / "colours", counts)
