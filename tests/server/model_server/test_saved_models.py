"""SavedModels of every make load, answer and unload as they do on TensorFlow Serving."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2

from server.model_server.config import ModelConfig
from server.model_server.manager import Manager
from tests.server.model_server import zoo
from tests.server.model_server.helpers import PATIENCE, refusal, running, settled, states, until
from tests.server.model_server.zoo_table import Failing, Malformed, Specimen

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="session")
def cages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the zoo's SavedModels are; each is written when it is first needed."""
    return tmp_path_factory.mktemp("zoo")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's base path, to which `publish` puts a version."""
    (tmp_path / "m").mkdir()
    return tmp_path / "m"


def publish(base: Path, cages: Path, entry: Specimen | Failing | Malformed) -> Path:
    """Make a SavedModel version 1 of the model; only a link, the SavedModel is for all tests."""
    version = base / "1"
    version.symlink_to(zoo.written(cages, entry))
    return version


@pytest.mark.parametrize("name", zoo.SPECIMENS)
def test_serves_and_unloads(name: str, base: Path, cages: Path) -> None:
    specimen = zoo.SPECIMENS[name]
    version = publish(base, cages, specimen)
    model = ModelConfig("m", str(base))
    with running(model, saved_model_tags=specimen.tags) as (api, manager, poller):
        assert loaded(manager) == "AVAILABLE"
        for call in specimen.calls:
            response = api.predict(signature=call.signature, **call.inputs)
            zoo.assert_outputs(response, call.outputs)
            if call.row_wise:
                alone = api.predict(signature=call.signature, **zoo.first_row(call.inputs))
                zoo.assert_outputs(alone, zoo.first_row(call.outputs))
        version.unlink()
        poller.look_once()
        settled(manager, "m", {1: "END"})
        (status,) = _statuses(api)
        assert status.status.error_code == 0


@pytest.mark.parametrize("name", zoo.MALFORMED)
def test_refuses_to_load(name: str, base: Path, cages: Path) -> None:
    entry = zoo.MALFORMED[name]
    version = publish(base, cages, entry)
    with running(ModelConfig("m", str(base)), saved_model_tags=entry.tags) as (api, manager, _):
        assert loaded(manager) == "END"
        (status,) = _statuses(api)
    text = status.status.error_message
    assert status.status.error_code == grpc.StatusCode[entry.code].value[0], text
    assert text.startswith(entry.text.replace("{path}", str(version))), text


@pytest.mark.parametrize("name", zoo.FAILING)
def test_loads_what_then_fails(name: str, base: Path, cages: Path) -> None:
    entry = zoo.FAILING[name]
    publish(base, cages, entry)
    with running(ModelConfig("m", str(base))) as (api, manager, _):
        assert loaded(manager) == "AVAILABLE"
        code, text = refusal(lambda: api.predict(**entry.inputs))
    assert code == entry.code
    assert text.startswith(entry.text), text


def loaded(manager: Manager) -> str:
    """The state that the version's load ends in."""
    until(lambda: set(states(manager).values()) & {"AVAILABLE", "END"}, "a loaded version")
    return states(manager)[1]


def _statuses(api: Any) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    return api.model.GetModelStatus(request, timeout=PATIENCE).model_version_status
