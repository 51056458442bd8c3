"""The life of versions: what is loaded and when, what serves meanwhile, what the status says.

One server is shared; each test has a model of its own in it.
"""

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import graphs, models
from tests.conformance.api import Answer, Api, answer_of, predict_request, status_request
from tests.conformance.cases import NOT_FOUND, agree, floats
from tests.conformance.conftest import Launch
from tests.conformance.differences import DRAINS
from tests.conformance.disk import Disk, log_of
from tests.conformance.programs import Server, stays
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration

POLL = 1.0
"""Seconds between two looks at the disk, as the server does by default."""

MODELS = {
    "takeover": "",
    "in_use": "",
    "hammered": "",
    "bad": "",
    "errors": "",
    "deleted": "",
    "named": "",
    "away": "",
    "patient": "",
    "latest_two": "model_version_policy { latest { num_versions: 2 } }",
    "every": "model_version_policy { all {} }",
    "some": "model_version_policy { specific { versions: 1 versions: 3 versions: 9 } }",
}
"""The models of the shared server, and what is special in their configuration."""

FIRST = {"latest_two": (1, 2, 3), "every": (1, 2, 3), "some": (1, 2, 3)}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def server(disk: Disk, launch: Launch) -> Iterator[Server]:
    for name in MODELS:
        for version in FIRST.get(name, (1,)):
            build = graphs.gated(version) if name == "in_use" else None
            disk.publish(name, "00000001" if name == "named" else version, build)
    for name in ("x", "7x", "-5", "3.0", "temp-9"):
        (disk.base("named") / name).mkdir()
    config = disk.root / "models.config"
    entries = (models.entry(name, disk.base(name), more) for name, more in MODELS.items())
    config.write_text(models.config(*entries))
    with launch(f"--model_config_file={config}", "--max_num_load_retries=0") as server:
        server.wait()
        yield server


@pytest.fixture
def api(server: Server) -> Api:
    return server.api


def settled(api: Api, model: str, expected: dict[int, str]) -> None:
    """Wait until all versions of a model are in these states."""
    wait_until(lambda: api.states(model) == expected, f"{expected} of {model}")


def predicted(api: Api, model: str, version: int | None = None) -> Answer:
    spec = {} if version is None else {"version": version}
    return api.ask(predict_request(model, x=floats([1]), spec=spec))


def served_by(api: Api, model: str, version: int) -> None:
    """Assert which version answers, by its word and by what it computes."""
    answer = predicted(api, model)
    agree(answer, "OK", "")
    assert answer.message.model_spec.version.value == version
    assert list(answer.message.outputs["y"].float_val) == [float(version)]


def waiting(model: str, path: Path) -> Any:
    """A request that runs until `path` is opened."""
    return predict_request(model, path=bytes(path), spec={"signature": "gate"})


def warming(path: Path) -> Any:
    """Warm-up records that run until `path` is opened."""
    return [log_of("predict", waiting("any", path))]


def open_gate(path: Path) -> None:
    path.with_name(path.name + "0").touch()


def has_begun(path: Path) -> bool:
    return path.with_suffix(".begun").exists()


def missing(model: str, version: int | None = None) -> str:
    which = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return f"Servable not found for request: {which}"


def test_ports_open_after_the_first_load(disk: Disk, launch: Launch) -> None:
    """No base path, no version: the server waits; warm-up is a part of the load."""
    path = disk.root / "gate"
    with launch(f"--model_base_path={disk.base('first')}") as server:
        stays(server.refuses, 0.5)
        disk.base("first").mkdir(parents=True)
        stays(server.refuses, 0.5)
        disk.publish("first", 2, graphs.gated(2), warmup=warming(path))
        wait_until(lambda: has_begun(path), "the warm-up", server.running)
        stays(server.refuses, 0.5)
        open_gate(path)
        server.wait()
        assert server.api.states("default") == {2: "AVAILABLE"}
        served_by(server.api, "default", 2)


def test_readiness_is_said_on_stderr(server: Server) -> None:
    """gRPC's line, then REST's."""
    lines = server.running.output().splitlines()
    first = next(i for i, line in enumerate(lines) if "Running gRPC ModelServer at" in line)
    second = next(i for i, line in enumerate(lines) if "Exporting HTTP/REST API at" in line)
    assert first < second
    assert re.search(rf"Running gRPC ModelServer at \S+:{server.port} \.\.\.$", lines[first])
    address = f"localhost:{server.rest_port}"
    assert lines[second].endswith(f"Exporting HTTP/REST API at:{address} ...")


def test_only_whole_numbers_are_versions(api: Api) -> None:
    assert api.states("named") == {1: "AVAILABLE"}
    served_by(api, "named", 1)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("latest_two", {3: "AVAILABLE", 2: "AVAILABLE"}),
        ("every", {3: "AVAILABLE", 2: "AVAILABLE", 1: "AVAILABLE"}),
        ("some", {3: "AVAILABLE", 1: "AVAILABLE"}),
    ],
)
def test_policies(api: Api, disk: Disk, model: str, expected: dict[int, str]) -> None:
    """Which of 1, 2 and 3 are loaded."""
    settled(api, model, expected)
    served_by(api, model, 3)
    for version in (1, 2, 3):
        answer = predicted(api, model, version)
        assert answer.code == ("OK" if version in expected else NOT_FOUND)


def test_policies_follow_new_versions(api: Api, disk: Disk) -> None:
    for model in ("latest_two", "every", "some"):
        disk.publish(model, 4)
    settled(api, "latest_two", {4: "AVAILABLE", 3: "AVAILABLE", 2: "END"})
    settled(api, "every", dict.fromkeys((4, 3, 2, 1), "AVAILABLE"))
    assert api.states("some") == {3: "AVAILABLE", 1: "AVAILABLE"}
    disk.publish("some", 9)
    settled(api, "some", {9: "AVAILABLE", 3: "AVAILABLE", 1: "AVAILABLE"})


def test_a_new_version_takes_over(api: Api, disk: Disk) -> None:
    """Loaded beside the old one, which serves until then; warm-up is a part of the load."""
    path = disk.root / "loading"
    served_by(api, "takeover", 1)
    disk.publish("takeover", 2, graphs.gated(2), warmup=warming(path))
    wait_until(lambda: has_begun(path), "the warm-up")
    assert api.states("takeover") == {2: "LOADING", 1: "AVAILABLE"}
    served_by(api, "takeover", 1)
    agree(predicted(api, "takeover", 2), NOT_FOUND, missing("takeover", 2))
    open_gate(path)
    settled(api, "takeover", {2: "AVAILABLE", 1: "END"})
    served_by(api, "takeover", 2)
    agree(predicted(api, "takeover", 1), NOT_FOUND, missing("takeover", 1))
    (one,) = api.ask(status_request("takeover", version=1)).message.model_version_status
    assert (one.state, one.status.error_code) == (50, 0)


def test_the_old_version_waits_for_its_requests(api: Api, disk: Disk) -> None:
    """Until they are done it is UNLOADING; new ones don't find it any more."""
    path = disk.root / "running"
    call = api.start(waiting("in_use", path))
    wait_until(lambda: has_begun(path), "the request")
    disk.publish("in_use", 2)
    settled(api, "in_use", {2: "AVAILABLE", 1: "UNLOADING"})
    served_by(api, "in_use", 2)
    agree(predicted(api, "in_use", 1), NOT_FOUND, missing("in_use", 1))
    assert not call.done()
    assert api.states("in_use") == {2: "AVAILABLE", 1: "UNLOADING"}
    open_gate(path)
    agree(answer_of(call), "OK", "")
    settled(api, "in_use", {2: "AVAILABLE", 1: "END"})


def test_no_request_fails_while_versions_change(api: Api, disk: Disk) -> None:
    seen: list[tuple[int, float]] = []
    failed: list[Answer] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            answer = predicted(api, "hammered")
            if answer.code != "OK":
                failed.append(answer)
                return
            version = answer.message.model_spec.version.value
            seen.append((version, answer.message.outputs["y"].float_val[0]))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for version in (2, 3):
            wait_until(lambda v=version: failed or seen[-1:] == [(v - 1, v - 1)], "answers")
            disk.publish("hammered", version)
        settled(api, "hammered", {3: "AVAILABLE", 2: "END", 1: "END"})
        count = len(seen)
        wait_until(lambda: failed or len(seen) > count + 6, "answers of the last")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert {version for version, _ in seen} == {1, 2, 3}
    assert all(value == version for version, value in seen)


def test_a_bad_version_leaves_the_old_one(api: Api, disk: Disk) -> None:
    """It ends with its error, and is not tried again, even if it is put right; a new one is."""
    path = disk.broken("bad", 2)
    settled(api, "bad", {2: "END", 1: "AVAILABLE"})
    served_by(api, "bad", 1)
    text = (
        "Specified file path does not appear to contain a SavedModel bundle (should have a file "
        f"called `saved_model.pb`)\nSpecified file path: {path}"
    )
    assert api.errors("bad") == {2: (5, text), 1: (0, "")}
    agree(predicted(api, "bad", 2), NOT_FOUND, missing("bad", 2))
    disk.repair("bad", 2)
    stays(lambda: api.states("bad") == {2: "END", 1: "AVAILABLE"}, 2 * POLL)
    disk.publish("bad", 3)
    settled(api, "bad", {3: "AVAILABLE", 2: "END", 1: "END"})
    served_by(api, "bad", 3)
    assert api.errors("bad")[2] == (5, text)


def test_a_bad_version_over_rest(api: Api, disk: Disk) -> None:
    """After the test before this one, or in its place."""
    if 2 not in api.states("bad"):
        disk.broken("bad", 2)
        wait_until(lambda: api.states("bad").get(2) == "END", "the end of 2")
    content = api.call("GET", "/v1/models/bad/versions/2").content
    (entry,) = content["model_version_status"]
    assert (entry["version"], entry["state"]) == ("2", "END")
    assert entry["status"]["error_code"] == "NOT_FOUND"
    assert "SavedModel bundle" in entry["status"]["error_message"]


ERRORS: dict[str, tuple[dict[str, bytes], set[int], str]] = {
    "nothing": ({}, {5}, "Specified file path does not appear to contain a SavedModel bundle "),
    "an old bundle": ({"export.meta": b""}, {12}, "Session Bundle is deprecated and removed."),
    "not a proto": ({"saved_model.pb": b"\xff nonsense"}, {15}, ""),
    "an empty file": ({"saved_model.pb": b""}, {5, 15}, ""),
}
"""What a version's folder holds, the codes its load may end with, how the text begins."""


def test_load_errors(api: Api, disk: Disk) -> None:
    """One after the other; version 1 serves on."""
    for number, (name, (files, codes, start)) in enumerate(ERRORS.items(), start=2):
        disk.broken("errors", number, files)
        wait_until(lambda n=number: api.states("errors").get(n) == "END", name)
        code, text = api.errors("errors")[number]
        assert code in codes, (name, code, text)
        assert text.startswith(start), name
    disk.publish("errors", 10)
    variables = disk.base("errors") / "10" / "variables"
    assert variables.is_dir()
    wait_until(lambda: api.states("errors").get(10) == "AVAILABLE", "version 10")


def test_a_deleted_version_is_replaced(api: Api, disk: Disk) -> None:
    """By a lower one on the disk, loaded first; with none left nothing serves; then anew."""
    disk.publish("deleted", 2)
    settled(api, "deleted", {2: "AVAILABLE", 1: "END"})
    disk.remove("deleted", 2)
    settled(api, "deleted", {2: "END", 1: "AVAILABLE"})
    served_by(api, "deleted", 1)
    disk.publish("deleted", 2)
    settled(api, "deleted", {2: "AVAILABLE", 1: "END"})
    disk.remove("deleted", 1)
    disk.remove("deleted", 2)
    settled(api, "deleted", {2: "END", 1: "END"})
    agree(predicted(api, "deleted"), NOT_FOUND, missing("deleted"))
    agree(predicted(api, "deleted", 2), NOT_FOUND, missing("deleted", 2))
    disk.publish("deleted", 5)
    settled(api, "deleted", {5: "AVAILABLE", 2: "END", 1: "END"})
    served_by(api, "deleted", 5)


def test_a_missing_base_path_stops_the_look(api: Api, disk: Disk) -> None:
    """Nothing changes, neither for its model nor for the others, until it is back."""
    elsewhere = disk.base("away").with_name("elsewhere")
    disk.base("away").rename(elsewhere)
    try:
        disk.publish("patient", 2)
        stays(lambda: api.states("patient") == {1: "AVAILABLE"}, 2 * POLL)
        served_by(api, "away", 1)
        served_by(api, "patient", 1)
    finally:
        elsewhere.rename(disk.base("away"))
    settled(api, "patient", {2: "AVAILABLE", 1: "END"})
    assert api.states("away") == {1: "AVAILABLE"}


def test_failed_start(disk: Disk, launch: Launch) -> None:
    """The only version is bad: the process says so and ends; its default name is `default`."""
    path = disk.broken("hopeless", 1)
    flags = [f"--model_base_path={disk.base('hopeless')}", "--max_num_load_retries=0"]
    with launch(*flags) as server:
        assert server.running.process.wait(120) == 255
        output = server.running.output()
    pattern = (
        r"Failed to start server\. Error: .*1 servable\(s\) did not become available: "
        r"\{\{name: default version: 1\} due to error: .*Specified file path does not appear to "
        r"contain a SavedModel bundle \(should have a file called `saved_model\.pb`\)"
        rf"\s+Specified file path: {re.escape(str(path))}\}}, \}}"
    )
    assert re.search(pattern, output, re.DOTALL), output


def test_sigterm(disk: Disk, launch: Launch, embedded: bool) -> None:
    """See differences.DRAINS: here calls in flight are finished; there they are dropped."""
    disk.publish("ended", 1, graphs.gated(1))
    path = disk.root / "ending"
    with launch(f"--model_base_path={disk.base('ended')}") as server:
        server.wait()
        api = server.api
        call = api.start(waiting("default", path))
        wait_until(lambda: has_begun(path), "the request")
        server.running.process.send_signal(signal.SIGTERM)
        if not embedded:
            assert server.running.process.wait(120) == -signal.SIGTERM, DRAINS.reference
            assert answer_of(call).code == "UNAVAILABLE"
            return
        wait_until(server.refuses, "closed ports")
        assert not call.done()
        open_gate(path)
        agree(answer_of(call), "OK", "")
        assert server.running.process.wait(120) == 0
