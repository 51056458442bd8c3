"""The life of versions: appearing, failing, disappearing, warming up, while requests run."""

import itertools
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2

from server.model_server.config import ModelConfig, everything, specific
from server.model_server.manager import Model, State, Step, Version, next_step
from tests.server.model_server.helpers import (
    ones,
    predict_log,
    refusal,
    request_for,
    running,
    settled,
    until,
    write_warmup,
)

pytestmark = pytest.mark.heavy

Publish = Callable[..., Path]


def model_at(path: Path, **kwargs: Any) -> ModelConfig:
    return ModelConfig("m", str(path / "m"), **kwargs)


def test_new_version_takes_over_without_a_failed_request(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    factors = {1: 2.0, 2: 3.0, 3: 2.0}
    answers: list[tuple[int, float]] = []
    failures: list[BaseException] = []
    stop = threading.Event()
    with running(model_at(tmp_path)) as (api, manager, poller):
        settled(manager, "m", {1: "AVAILABLE"})

        def call() -> None:
            while not stop.is_set():
                try:
                    response = api.predict(x=ones())
                except BaseException as error:
                    failures.append(error)
                    return
                answers.append(
                    (response.model_spec.version.value, response.outputs["y"].float_val[0])
                )

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: answers)
            publish("three", "2")
            poller.look_once()
            settled(manager, "m", {2: "AVAILABLE", 1: "END"})
            publish("two", "3")
            poller.look_once()
            settled(manager, "m", {3: "AVAILABLE", 2: "END", 1: "END"})
            seen = len(answers)
            until(lambda: len(answers) > seen + 8 or failures)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not failures
    assert {version for version, _ in answers} == {1, 2, 3}
    assert all(value == factors[version] for version, value in answers)


def test_a_version_in_use_stays_until_given_back(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    with running(model_at(tmp_path)) as (api, manager, poller):
        settled(manager, "m", {1: "AVAILABLE"})
        with manager.borrow("m") as servable:
            publish("three", "2")
            poller.look_once()
            settled(manager, "m", {2: "AVAILABLE", 1: "UNLOADING"})
            name = servable.signatures["serving_default"].inputs["x"].name
            output = servable.signatures["serving_default"].outputs["y"].name
            assert servable.run({name: ones()}, [output])[0][0, 0] == 2.0
            assert api.predict(x=ones()).model_spec.version.value == 2
            assert refusal(lambda: api.predict(version=1, x=ones()))[0] == "NOT_FOUND"
        settled(manager, "m", {2: "AVAILABLE", 1: "END"})


def test_bad_version_leaves_the_old_serving(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    with running(model_at(tmp_path)) as (api, manager, poller):
        settled(manager, "m", {1: "AVAILABLE"})
        (tmp_path / "m" / "2").mkdir()
        poller.look_once()
        settled(manager, "m", {2: "END", 1: "AVAILABLE"})
        assert api.predict(x=ones()).model_spec.version.value == 1
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "m"
        bad, good = api.model.GetModelStatus(request).model_version_status
        assert (bad.version, bad.state, bad.status.error_code) == (2, State.END, 5)
        assert bad.status.error_message == (
            "Specified file path does not appear to contain a SavedModel bundle (should have a "
            f"file called `saved_model.pb`)\nSpecified file path: {tmp_path / 'm' / '2'}"
        )
        assert (good.version, good.state) == (1, State.AVAILABLE)
        # Repaired in place it is still not tried again; a new number is.
        shutil.copytree(tmp_path / "m" / "1", tmp_path / "m" / "2", dirs_exist_ok=True)
        poller.look_once()
        publish("three", "3")
        poller.look_once()
        settled(manager, "m", {3: "AVAILABLE", 2: "END", 1: "END"})


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [("saved_model.pb", b"\xff not a proto", 15), ("export.meta", b"", 12)],
)
def test_load_errors(tmp_path: Path, file: str, content: bytes, code: int) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / file).write_bytes(content)
    with running(model_at(tmp_path)) as (_, manager, _poller):
        settled(manager, "m", {1: "END"})
        _, error = manager.statuses("m")[1]
        assert error is not None
        assert error.number == code


def test_missing_tags_are_not_found(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    with running(model_at(tmp_path), saved_model_tags="other") as (_, manager, _poller):
        settled(manager, "m", {1: "END"})
        _, error = manager.statuses("m")[1]
        assert error is not None
        assert error.number == 5


def test_deleted_version_falls_back_to_a_lower_one(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    newer = publish("three", "2")
    with running(model_at(tmp_path)) as (api, manager, poller):
        settled(manager, "m", {2: "AVAILABLE"})
        shutil.rmtree(newer)
        poller.look_once()
        settled(manager, "m", {2: "END", 1: "AVAILABLE"})
        assert api.predict(x=ones()).model_spec.version.value == 1
        # The same number, back again, is loaded again.
        publish("three", "2")
        poller.look_once()
        settled(manager, "m", {2: "AVAILABLE", 1: "END"})
        shutil.rmtree(tmp_path / "m" / "1")
        shutil.rmtree(tmp_path / "m" / "2")
        poller.look_once()
        settled(manager, "m", {2: "END", 1: "END"})
        text = "Servable not found for request: Latest(m)"
        assert refusal(lambda: api.predict(x=ones())) == ("NOT_FOUND", text)


def test_a_base_path_that_is_away_changes_nothing(publish: Publish, tmp_path: Path) -> None:
    publish("two", "1")
    publish("two", "1", base="other")
    models = [model_at(tmp_path), ModelConfig("other", str(tmp_path / "other"))]
    with running(*models) as (api, manager, poller):
        settled(manager, "m", {1: "AVAILABLE"})
        settled(manager, "other", {1: "AVAILABLE"})
        (tmp_path / "other").rename(tmp_path / "away")
        publish("three", "2")
        poller.look_once()
        assert list(manager.statuses("m")) == [1]
        assert api.predict("other", x=ones()).outputs


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (everything, {5: "AVAILABLE", 3: "AVAILABLE", 1: "AVAILABLE"}),
        (specific([1, 3, 9]), {3: "AVAILABLE", 1: "AVAILABLE"}),
    ],
)
def test_policies(publish: Publish, tmp_path: Path, policy: Any, expected: dict[int, str]) -> None:
    for version in ("1", "0003", "5"):
        publish("two", version)
    (tmp_path / "m" / "1x").mkdir()
    with running(model_at(tmp_path, policy=policy)) as (api, manager, _):
        settled(manager, "m", expected)
        assert api.predict(version=1, x=ones()).model_spec.version.value == 1
        assert api.predict(x=ones()).model_spec.version.value == max(expected)


def test_load_is_retried(tmp_path: Path, publish: Publish) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    with running(model_at(tmp_path), retries=10**6) as (_, manager, _poller):
        until(lambda: manager.statuses("m")[1][0] is State.LOADING)
        shutil.copytree(publish("two", "1", base="copy"), tmp_path / "m" / "1", dirs_exist_ok=True)
        settled(manager, "m", {1: "AVAILABLE"})


def test_retries_end_when_the_version_is_no_longer_wanted(tmp_path: Path, publish: Publish) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    with running(model_at(tmp_path), retries=10**6) as (_, manager, poller):
        until(lambda: manager.statuses("m")[1][0] is State.LOADING)
        publish("two", "2")
        poller.look_once()
        settled(manager, "m", {2: "AVAILABLE", 1: "END"})


def log_of(kind: str) -> Any:
    entry = prediction_log_pb2.PredictionLog()
    getattr(entry, kind).SetInParent()
    return entry


GOOD = predict_log(request_for(x=ones()))
WARMUPS: dict[str, tuple[list[Any], int, str]] = {
    "fine": ([GOOD, prediction_log_pb2.PredictionLog(), GOOD], 0, ""),
    "wrong input": (
        [GOOD, predict_log(request_for(z=ones()))],
        3,
        "Signature input alias: x(feed name: serving_default_x:0) not found in request",
    ),
    "streamed": ([log_of("predict_streamed_log")], 12, "Unsupported log_type for warmup: 7"),
    "too many": (
        [prediction_log_pb2.PredictionLog()] * 1001,
        3,
        "Number of warmup records exceeds the maximum (1000) at ",
    ),
}


@pytest.mark.parametrize("case", WARMUPS)
def test_warm_up(publish: Publish, saved: dict[str, Path], tmp_path: Path, case: str) -> None:
    logs, code, text = WARMUPS[case]
    source = shutil.copytree(saved["two"], tmp_path / "source")
    write_warmup(source, logs)
    publish("", "1", source=source)
    with running(model_at(tmp_path)) as (_, manager, _poller):
        settled(manager, "m", {1: "END" if code else "AVAILABLE"})
        _, error = manager.statuses("m")[1]
        assert (error.number, error.text[: len(text)]) == (code, text) if error else code == 0


def test_warm_up_that_is_no_record_file(
    publish: Publish, saved: dict[str, Path], tmp_path: Path
) -> None:
    source = shutil.copytree(saved["two"], tmp_path / "source")
    (source / "assets.extra").mkdir()
    (source / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"x" * 100)
    publish("", "1", source=source)
    with running(model_at(tmp_path)) as (_, manager, _poller):
        settled(manager, "m", {1: "END"})
        _, error = manager.statuses("m")[1]
        assert error is not None
        assert error.code.name == "DATA_LOSS"
        assert error.text.endswith("Please verify your warmup data is in TFRecord format.")
    with running(model_at(tmp_path), enable_model_warmup=False) as (_, manager, _poller):
        settled(manager, "m", {1: "AVAILABLE"})


def test_without_its_flag_there_is_no_health_service_and_content_may_be_asked_for(
    publish: Publish, tmp_path: Path
) -> None:
    publish("two", "1")
    flags = {"enable_serialization_as_tensor_content": True}
    with running(model_at(tmp_path), **flags) as (api, manager, _):
        settled(manager, "m", {1: "AVAILABLE"})
        check = health_pb2_grpc.HealthStub(api.channel).Check
        code, _text = refusal(lambda: check(health_pb2.HealthCheckRequest()))
        assert code == "UNIMPLEMENTED"
        output = api.predict(x=ones()).outputs["y"]
        assert output.tensor_content == (ones() * 2).tobytes()
        assert not output.float_val


def test_a_bug_in_a_call_is_internal(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("two", "1")

    def broken(*args: Any) -> Any:
        raise ZeroDivisionError("secret")

    with running(model_at(tmp_path)) as (api, manager, _):
        settled(manager, "m", {1: "AVAILABLE"})
        with monkeypatch.context() as patch:
            patch.setattr("server.model_server.predict.predict", broken)
            code, text = refusal(lambda: api.predict(x=ones()))
            assert (code, text) == ("INTERNAL", "internal error, see the server's log")
        assert api.predict(x=ones()).outputs


def test_steps_never_leave_a_model_without_a_version() -> None:
    choices: list[State | None] = [None, *State]
    for first, second in itertools.product(choices, repeat=2):
        for aspired in ({}, {1: ""}, {2: ""}, {1: "", 2: ""}):
            pairs = ((1, first), (2, second))
            versions = {n: Version(n, "", state) for n, state in pairs if state is not None}
            step = next_step(Model("m", versions, dict(aspired)))
            if step is not None and step[0] is Step.UNLOAD:
                others = [v for n, v in versions.items() if n != step[1].number]
                assert step[1].number not in aspired
                assert not aspired or any(v.state is State.AVAILABLE for v in others)
