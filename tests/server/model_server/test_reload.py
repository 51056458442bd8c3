"""Changes of what is served: by call, by file, and the labels."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2

from server.model_server.errors import ServingError
from server.model_server.flags import Options
from server.model_server.loading import make_loader
from server.model_server.manager import Manager, Retries
from server.model_server.reload import Configuration, FileWatcher, LabelRule
from server.model_server.source import Poller
from tests.server.model_server.helpers import (
    Api,
    ones,
    refusal,
    running,
    settled,
    states,
    until,
)

pytestmark = pytest.mark.heavy

Publish = Callable[..., Path]


def wanted(*models: Mapping[str, Any], metrics: tuple[str, ...] = ()) -> Any:
    """A ReloadConfigRequest; a model is its name, base path and whatever more there is."""
    request = model_management_pb2.ReloadConfigRequest(metric_names=metrics)
    request.config.model_config_list.SetInParent()
    for model in models:
        entry = request.config.model_config_list.config.add(model_platform="tensorflow")
        for key, value in model.items():
            if isinstance(value, dict):
                entry.version_labels.update(value)
            elif isinstance(value, list):
                entry.model_version_policy.specific.versions.extend(value)
            else:
                setattr(entry, key, value)
    return request


def of(path: Path, name: str = "m", **more: Any) -> dict[str, Any]:
    return {"name": name, "base_path": str(path), **more}


def reload(api: Api, request: Any) -> Any:
    return api.model.HandleReloadConfigRequest(request, timeout=60)


def test_models_come_and_go(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    publish("three", "1", base="other")
    with running() as (api, manager, _):
        answer = reload(api, wanted(of(tmp_path / "m"), metrics=("/nothing",)))
        assert answer.status.error_code == 0
        assert [(m.name, m.int64_value_increase) for m in answer.metric] == [("/nothing", 0)]
        assert api.predict(x=ones()).outputs["y"].float_val[0] == 2
        reload(api, wanted(of(tmp_path / "other", "other")))
        assert api.predict("other", x=ones()).outputs["y"].float_val[0] == 3
        settled(manager, "m", {1: "END"})
        assert refusal(lambda: api.predict(x=ones())) == (
            "NOT_FOUND", "Servable not found for request: Latest(m)"
        )  # fmt: skip
        reload(api, wanted(of(tmp_path / "m"), of(tmp_path / "other", "other")))
        assert api.predict(x=ones()).outputs["y"].float_val[0] == 2
        counted = wanted(of(tmp_path / "m"), metrics=("/tensorflow/cc/saved_model/load_attempt",))
        assert reload(api, counted).metric[0].int64_value_increase == 0


def test_a_new_model_that_fails(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    (tmp_path / "bad" / "7").mkdir(parents=True)
    with running() as (api, _, _):
        code, text = refusal(
            lambda: reload(api, wanted(of(tmp_path / "m"), of(tmp_path / "bad", "bad")))
        )
        assert code == "UNKNOWN"
        assert text.startswith(
            "1 model(s) did not become available: {{name: bad version: 7} due to error: NOT_FOUND: "
        )
        assert text.endswith("}, }")
        assert api.predict(x=ones()).outputs  # What is good is served.


@pytest.mark.parametrize(
    ("models", "text"),
    [
        ([of(Path("/m")), of(Path("/m"))], "Illegal to list model m multiple times in config list"),
        ([of(Path("m"))],
         "Expected model m to have an absolute path or URI; got base_path()=m"),
        ([of(Path("/m"), model_platform="")],
         "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
         "ModelServerConfig::model_platform, model name is m"),
        ([of(Path("/n"), "n", model_platform="onnx")],
         "Model n requests unsupported platform onnx"),
        ([of(Path("/m"), model_platform="onnx")],
         "Illegal to change a model's platform. For model m platform was tensorflow and new "
         "platform requested is onnx"),
    ],
)  # fmt: skip
def test_lists_that_are_refused_change_nothing(
    publish: Publish, tmp_path: Path, models: list[dict[str, Any]], text: str
) -> None:
    publish("two", "1")
    with running() as (api, manager, _):
        reload(api, wanted(of(tmp_path / "m")))
        assert refusal(lambda: reload(api, wanted(*models))) == ("INVALID_ARGUMENT", text)
        assert states(manager) == {1: "AVAILABLE"}


def test_only_lists(publish: Publish) -> None:
    with running() as (api, _, _):
        assert refusal(lambda: reload(api, model_management_pb2.ReloadConfigRequest())) == (
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported",
        )


def test_waits_no_longer_than_its_caller(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with running() as (api, _, _):
        request = wanted(of(tmp_path / "empty", "empty"))
        with pytest.raises(grpc.RpcError) as caught:
            api.model.HandleReloadConfigRequest(request, timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # And the next change need not wait for it.
        assert reload(api, wanted()).status.error_code == 0


def test_labels_move_to_what_is_available(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    publish("three", "2")
    base = tmp_path / "m"
    with running() as (api, manager, _):
        reload(api, wanted(of(base, versions=[1, 2], labels={"stable": 1, "canary": 2})))
        answer = api.predict(label="stable", x=ones())
        assert (answer.outputs["y"].float_val[0], answer.model_spec.version.value) == (2, 1)
        assert not answer.model_spec.version_label
        assert api.predict(label="canary", x=ones()).outputs["y"].float_val[0] == 3
        assert refusal(lambda: api.predict(label="other", x=ones())) == (
            "INVALID_ARGUMENT", "Unrecognized servable version label: other"
        )  # fmt: skip
        code, text = refusal(
            lambda: reload(api, wanted(of(base, versions=[1, 2], labels={"stable": 9})))
        )
        assert (code, text) == (
            "FAILED_PRECONDITION",
            "Request to assign label to version 9 of model m, which is not currently available for "
            "inference",
        )
        assert api.predict(label="stable", x=ones()).outputs["y"].float_val[0] == 2
        reload(api, wanted(of(base, versions=[1, 2], labels={"stable": 2})))
        assert api.predict(label="stable", x=ones()).outputs["y"].float_val[0] == 3
        assert refusal(lambda: api.predict(label="canary", x=ones()))[0] == "INVALID_ARGUMENT"
        # A label outlives its version, and says so.
        reload(api, wanted(of(base, versions=[2], labels={"stable": 2})))
        settled(manager, "m", {2: "AVAILABLE", 1: "END"})


class Parts:
    """A configuration with its parts, without a server."""

    def __init__(self, rule: LabelRule = LabelRule.NONE) -> None:
        self.manager = Manager(make_loader(Options()), Retries())
        self.poller = Poller(0, self.manager.aspire)
        self.configuration = Configuration(self.manager, self.poller, rule)

    def apply(self, *models: Mapping[str, Any]) -> bool:
        return self.configuration.apply(wanted(*models).config)


@pytest.fixture
def parts() -> Iterator[Callable[..., Parts]]:
    made: list[Parts] = []

    def make(*args: Any) -> Parts:
        made.append(Parts(*args))
        return made[-1]

    yield make
    for entry in made:
        entry.configuration.close()
        entry.manager.close()


@pytest.mark.parametrize(
    ("rule", "new", "moved"),
    [(LabelRule.NONE, False, False), (LabelRule.NEW, True, False), (LabelRule.ALL, True, True)],
)
def test_labels_of_versions_that_are_not_there(
    publish: Publish, tmp_path: Path, parts: Any, rule: LabelRule, new: bool, moved: bool
) -> None:
    publish("two", "1")
    base, made = tmp_path / "m", parts(rule)

    def taken(**labels: int) -> bool:
        try:
            return bool(made.apply(of(base, labels={"stable": 1, **labels})))
        except ServingError as error:
            return error.code is not grpc.StatusCode.FAILED_PRECONDITION

    assert taken()
    assert taken(later=5) is new
    assert taken(stable=5) is moved
    if new:
        number = made.manager.labelled("m", "stable" if moved else "later")
        with (
            pytest.raises(ServingError, match=r"Specific\(m, 5\)"),
            made.manager.borrow("m", number),
        ):
            pass


def test_a_closing_server_gives_up_a_change(tmp_path: Path, parts: Any) -> None:
    (tmp_path / "empty").mkdir()
    made = parts()
    outcome: list[bool] = []
    thread = threading.Thread(
        target=lambda: outcome.append(made.apply(of(tmp_path / "empty", "empty")))
    )
    thread.start()
    made.configuration.close()
    thread.join()
    assert outcome == [False]


def test_a_models_thread_ends_with_it(publish: Publish, tmp_path: Path, parts: Any) -> None:
    publish("two", "1")
    made = parts()
    before = threading.active_count()
    for _ in range(3):
        made.apply(of(tmp_path / "m"))
        made.apply()
        settled(made.manager, "m", {1: "END"})
        until(lambda: threading.active_count() == before, "the thread's end")


class Watched:
    """A configuration file that is looked at."""

    def __init__(self, path: Path, made: Parts) -> None:
        self.path = path
        self.watcher = FileWatcher(str(path), 0.05, made.configuration)

    def write(self, *models: Mapping[str, Any]) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(text_format.MessageToString(wanted(*models).config))
        beside.rename(self.path)


def test_file(
    publish: Publish, tmp_path: Path, parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    publish("two", "1")
    publish("three", "1", base="other")
    made = parts()
    file = Watched(tmp_path / "models.config", made)
    file.write(of(tmp_path / "m"))
    file.watcher.start()
    try:
        until(lambda: states(made.manager) == {1: "AVAILABLE"}, "the first model")
        file.path.write_text("no such thing")
        until(lambda: "Invalid protobuf file" in caplog.text, "a complaint")
        time.sleep(0.3)  # Some more looks, which must not complain again.
        assert caplog.text.count("Invalid protobuf file") == 1
        assert states(made.manager) == {1: "AVAILABLE"}
        file.write(of(tmp_path / "other", "other"))
        until(lambda: states(made.manager, "other") == {1: "AVAILABLE"}, "the second model")
        until(lambda: states(made.manager) == {1: "END"}, "the first one's end")
    finally:
        file.watcher.stop()
