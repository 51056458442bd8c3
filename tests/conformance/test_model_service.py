"""GetModelStatus and HandleReloadConfigRequest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.conformance import graphs, models
from tests.conformance.api import Api, predict_request, status_request
from tests.conformance.cases import (
    INVALID,
    NOT_FOUND,
    PRECONDITION,
    Case,
    Text,
    agree,
    begins,
    floats,
    table,
)
from tests.conformance.conftest import Launch
from tests.conformance.programs import Server
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


def shows(*versions: int) -> Any:
    """Checks that these versions are listed in this order, all available and without error."""

    def check(message: Any) -> None:
        entries = message.model_version_status
        assert [entry.version for entry in entries] == list(versions)
        for entry in entries:
            assert entry.state == AVAILABLE
            assert (entry.status.error_code, entry.status.error_message) == (0, "")
            assert entry.HasField("status")

    return check


STATUS = [
    Case("one version", status_request("half_plus_two"), check=shows(123)),
    Case("all versions, descending", status_request("versions"), check=shows(2, 1)),
    Case("a version", status_request("versions", version=1), check=shows(1)),
    Case("a label is ignored", status_request("versions", label="stable"), check=shows(2, 1)),
    Case("an unknown label is ignored", status_request("versions", label="x"), check=shows(2, 1)),
    Case("no model_spec", status_request(None), INVALID, "Missing ModelSpec"),
    Case("unknown version", status_request("versions", version=9), NOT_FOUND,
         "Could not find version 9 of model versions"),
    Case("version 0", status_request("versions", version=0), NOT_FOUND,
         "Could not find version 0 of model versions"),
    Case("unknown model", status_request("none"), NOT_FOUND,
         "Could not find any versions of model none"),
    Case("version of an unknown model", status_request("none", version=1), NOT_FOUND,
         "Could not find version 1 of model none"),
    Case("empty name", status_request(""), NOT_FOUND, "Could not find any versions of model "),
]  # fmt: skip


@table(STATUS)
def test_status(api: Api, row: Case) -> None:
    row.hold(api)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`one` scales by 1, `two` by 2, `labelled` has versions 1 and 2, `broken` no model."""
    root = tmp_path_factory.mktemp("reload")
    for name, versions in {"one": (1,), "two": (2,), "labelled": (1, 2)}.items():
        (root / name).mkdir()
        for version in versions:
            models.write_model(root / name / str(version), graphs.scaled(version))
    (root / "broken" / "1").mkdir(parents=True)
    return root


@pytest.fixture(scope="module")
def server(folder: Path, launch: Launch) -> Iterator[Server]:
    """A server on `one`, whose configuration tests change by calls."""
    file = folder / "models.config"
    file.write_text(models.config(models.entry("one", folder / "one")))
    with launch(f"--model_config_file={file}", "--max_num_load_retries=0") as server:
        server.wait()
        yield server


def reload_request(text: str, *metrics: str) -> Any:
    request = model_management_pb2.ReloadConfigRequest(metric_names=metrics)
    text_format.Parse(text, request.config)
    request.config.SetInParent()
    return request


def entries(folder: Path, *names: str, more: str = "") -> str:
    return models.config(*(models.entry(name, folder / name, more) for name in names))


@pytest.fixture
def only_one(server: Server, folder: Path) -> Api:
    """The server, back on `one` alone."""
    agree(server.api.ask(reload_request(entries(folder, "one"))), "OK", "")
    return server.api


def predicted(api: Api, model: str, expected: float, **spec: Any) -> None:
    answer = api.ask(predict_request(model, x=floats([1]), spec=spec))
    agree(answer, "OK", "")
    assert list(answer.message.outputs["y"].float_val) == [expected]


NOT_A_LIST = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
    "Only ModelConfigList is currently supported"
)


def listed(fields: str) -> str:
    return f"model_config_list {{ config {{ {fields} }} }}"


GOOD = 'base_path: "/nowhere" model_platform: "tensorflow"'

REFUSED: dict[str, tuple[str, str, Text]] = {
    "no configuration": ("", INVALID, NOT_A_LIST),
    "a custom configuration": ("custom_model_config {}", INVALID, NOT_A_LIST),
    "a name twice": (
        "model_config_list { config { name: 'a' " + GOOD + "} config { name: 'a' " + GOOD + "} }",
        INVALID,
        "Illegal to list model a multiple times in config list",
    ),
    "a relative path": (
        listed("name: 'a' base_path: 'here' model_platform: 'tensorflow'"),
        INVALID,
        "Expected model a to have an absolute path or URI; got base_path()=here",
    ),
    "no path": (
        listed("name: 'a' model_platform: 'tensorflow'"),
        INVALID,
        "Expected model a to have an absolute path or URI; got base_path()=",
    ),
    "no platform": (
        listed("name: 'a' base_path: '/nowhere'"),
        INVALID,
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
        "ModelServerConfig::model_platform, model name is a",
    ),
    "an unknown platform": (
        listed("name: 'a' base_path: '/nowhere' model_platform: 'onnx'"),
        INVALID,
        "Model a requests unsupported platform onnx",
    ),
    "another platform for a known model": (
        listed("name: 'one' base_path: '/nowhere' model_platform: 'onnx'"),
        INVALID,
        begins("Illegal to change a model's platform. "),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_reload_refused(only_one: Api, name: str) -> None:
    """And what was served still is."""
    text, code, message = REFUSED[name]
    agree(only_one.ask(reload_request(text)), code, message)
    predicted(only_one, "one", 1.0)


def test_reload_adds_and_removes(only_one: Api, folder: Path) -> None:
    """When the call returns, what is new serves; what is gone unloads in the background."""
    api = only_one
    answer = api.ask(reload_request(entries(folder, "one", "two")))
    agree(answer, "OK", "")
    assert (answer.message.status.error_code, answer.message.status.error_message) == (0, "")
    predicted(api, "one", 1.0)
    predicted(api, "two", 2.0)
    agree(api.ask(reload_request(entries(folder, "two"))), "OK", "")
    wait_until(lambda: api.states("one") == {1: "END"}, "the end of one")
    missing = "Servable not found for request: Latest(one)"
    agree(api.ask(predict_request("one", x=floats([1]))), NOT_FOUND, missing)
    predicted(api, "two", 2.0)


def test_reload_waits_only_for_new_names(only_one: Api, folder: Path) -> None:
    """A model's new path is taken up in the background."""
    text = models.config(models.entry("one", folder / "labelled"))
    agree(only_one.ask(reload_request(text)), "OK", "")
    wait_until(lambda: only_one.states("one").get(2) == "AVAILABLE", "version 2 of one")
    predicted(only_one, "one", 2.0)


def test_reload_reports_metrics(only_one: Api, folder: Path) -> None:
    names = [":tensorflow:serving:request_count", "none/such"]
    answer = only_one.ask(reload_request(entries(folder, "one"), *names))
    agree(answer, "OK", "")
    assert [metric.name for metric in answer.message.metric] == names


def test_reload_of_a_broken_model(only_one: Api, folder: Path) -> None:
    """The call fails with the load's error; the good models serve, and a later call repairs it."""
    text = begins("1 model(s) did not become available: {{name: broken version: 1} due to error: ")
    answer = only_one.ask(reload_request(entries(folder, "one", "two", "broken")))
    agree(answer, "UNKNOWN", text)
    assert "Specified file path does not appear to contain a SavedModel bundle" in answer.text
    predicted(only_one, "one", 1.0)
    wait_until(lambda: only_one.states("two") == {2: "AVAILABLE"}, "two")
    assert only_one.errors("broken")[1][0] == 5
    agree(only_one.ask(reload_request(entries(folder, "one"))), "OK", "")


def labelled(folder: Path, **labels: int) -> str:
    pairs = [f'version_labels {{ key: "{k}" value: {v} }}' for k, v in labels.items()]
    return entries(folder, "labelled", more=" ".join([models.ALL_VERSIONS, *pairs]))


def test_reload_moves_labels(only_one: Api, folder: Path) -> None:
    api = only_one
    agree(api.ask(reload_request(labelled(folder))), "OK", "")
    wait_until(lambda: api.states("labelled") == {2: "AVAILABLE", 1: "AVAILABLE"}, "both versions")
    agree(api.ask(reload_request(labelled(folder, live=1))), "OK", "")
    predicted(api, "labelled", 1.0, label="live")
    agree(api.ask(reload_request(labelled(folder, live=2, old=1))), "OK", "")
    predicted(api, "labelled", 2.0, label="live")
    predicted(api, "labelled", 1.0, label="old")
    agree(api.ask(reload_request(labelled(folder, live=2))), "OK", "")
    unknown = "Unrecognized servable version label: old"
    request = predict_request("labelled", x=floats([1]), spec={"label": "old"})
    agree(api.ask(request), INVALID, unknown)


def test_reload_refuses_labels_of_what_is_not_available(only_one: Api, folder: Path) -> None:
    api = only_one
    agree(api.ask(reload_request(labelled(folder))), "OK", "")
    wait_until(lambda: api.states("labelled").get(1) == "AVAILABLE", "version 1")
    agree(
        api.ask(reload_request(labelled(folder, live=9))),
        PRECONDITION,
        "Request to assign label to version 9 of model labelled, which is not currently "
        "available for inference",
    )


def test_status_numbers() -> None:
    """The states' numbers, as clients know them."""
    numbers = dict(get_model_status_pb2.ModelVersionStatus.State.items())
    assert {name: numbers[name] for name in ("START", "LOADING", "AVAILABLE")} == {
        "START": 10,
        "LOADING": 20,
        "AVAILABLE": 30,
    }
    assert (numbers["UNLOADING"], numbers["END"]) == (40, 50)


def test_configuration_proto_reads_what_is_written(folder: Path) -> None:
    """The entries of this suite are ModelServerConfigs."""
    parsed = text_format.Parse(labelled(folder, a=1), model_server_config_pb2.ModelServerConfig())
    assert parsed.model_config_list.config[0].version_labels["a"] == 1
