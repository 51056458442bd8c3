"""Fixtures: the place under test, the server that all stateless tests share, more servers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.conformance import models
from tests.conformance.api import Api, channel_to
from tests.conformance.programs import (
    HINT,
    Place,
    Program,
    Server,
    Target,
    is_embedded,
    launched,
    places,
)

Launch = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session", params=places(), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    """A program to start, or a server that runs."""
    return request.param


@pytest.fixture(scope="session")
def embedded(place: Place) -> bool | None:
    return is_embedded(place)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models that the shared server serves."""
    folder = tmp_path_factory.mktemp("models")
    models.write_all(folder)
    return folder


@pytest.fixture(scope="session")
def grpc_api(
    place: Place, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The server that no test changes, started or given."""
    if isinstance(place, Target):
        with channel_to(place.address) as channel:
            api = Api(channel, place.rest)
            _demand_models(api, place)
            yield api
        return
    saved = request.getfixturevalue("saved")
    with launched(place, tmp_path_factory.mktemp("shared"), _flags(saved)) as server:
        server.wait()
        yield server.api


@pytest.fixture
def api(grpc_api: Api) -> Api:
    return grpc_api


@pytest.fixture
def rest(grpc_api: Api) -> Api:
    """The same, with REST."""
    if not grpc_api.rest:
        pytest.skip("needs REST=host:port beside TARGET")
    return grpc_api


@pytest.fixture(scope="session")
def program(place: Place) -> Program:
    """A program that may be started; skips the test where a running server was given."""
    if isinstance(place, Target):
        pytest.skip("starts a process or writes to the server's disk: not with TARGET")
    return place


@pytest.fixture(scope="session")
def launch(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """Starts the program with flags beside those for its ports; see `launched`."""

    def start(*flags: str) -> AbstractContextManager[Server]:
        return launched(program, tmp_path_factory.mktemp("server"), flags)

    return start


def _flags(saved: Path) -> list[str]:
    return [flag for flag in models.flags(saved) if not flag.startswith(("--port", "--rest_api_p"))]


def _demand_models(api: Api, place: Target) -> None:
    try:
        grpc.channel_ready_future(api.channel).result(timeout=20)
    except grpc.FutureTimeoutError:
        pytest.exit(f"no gRPC server answers at {place.address}. {HINT}", 2)
    if api.rest and not api.rest_answers():
        pytest.exit(f"no REST server answers at {api.rest}. {HINT}", 2)
    for name, versions in models.MODELS.items():
        want = {int(version) for version in versions}
        got: dict[int, Any] = api.states(name)
        missing = sorted(number for number in want if got.get(number) != "AVAILABLE")
        if missing:
            pytest.exit(f"{place} does not serve version {missing} of {name}. {HINT}", 2)
