"""A model whose code kills the process: it is reported, and the other models live on."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2

from server.model_server.journal import Journal, Work, encoded
from tests.server.model_server.helpers import (
    PATIENCE,
    Api,
    channel_to,
    ones,
    predict_log,
    refusal,
    request_for,
    until,
    write_warmup,
)
from tests.server.model_server.process import Process, started


def test_journal_tells_what_is_in_hand() -> None:
    journal = Journal()
    slots = [journal.enter(encoded("run", f"m{n}", n)) for n in range(3)]
    journal.leave(slots[1])
    assert journal.in_hand() == [Work("run", "m2", 2), Work("run", "m0", 0)]
    journal.clear()
    assert journal.in_hand() == []


def test_journal_takes_names_of_any_length_and_work_of_any_amount() -> None:
    journal = Journal()
    slots = [journal.enter(encoded("load", "ü" * 1000, 1)) for _ in range(2000)]
    assert {work.version for work in journal.in_hand()} == {1}
    for slot in slots:
        journal.leave(slot)
    assert journal.in_hand() == []


def test_journal_keeps_the_ports() -> None:
    journal = Journal()
    assert journal.ports() == (0, 0)
    journal.note_ports(8500, 65535)
    journal.clear()
    assert journal.ports() == (8500, 65535)


class Fragile(tf.Module):
    """A convolution of what is declared to have any rank; of rank 2 it kills the process."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, 3, 3, 2]))

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def maps(self, x: Any) -> Any:
        return {"y": tf.nn.conv2d(x, self.kernel, 1, "SAME")}


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fragile") / "1"
    module = Fragile()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.maps})
    return folder


KILLER = request_for("fragile", x=np.ones((4, 3), np.float32))


def states(port: int, model: str) -> dict[int, tuple[str, str]]:
    """The state of each version, and its error."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    with channel_to(f"127.0.0.1:{port}") as channel:
        try:
            response = Api(channel).model.GetModelStatus(request, timeout=PATIENCE)
        except grpc.RpcError:
            return {}
    state = get_model_status_pb2.ModelVersionStatus.State.Name
    return {
        v.version: (state(v.state), v.status.error_message) for v in response.model_version_status
    }


def kill_by_request(process: Process, port: int) -> None:
    """Ask for what kills it, and wait until it is there again."""
    starts = len(process.matches("^Running gRPC"))
    with channel_to(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        Api(channel).prediction.Predict(KILLER, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    until(lambda: len(process.matches("^Running gRPC")) > starts, "a new start")


@pytest.mark.slow
@pytest.mark.integration
def test_a_version_that_keeps_killing_it_is_not_loaded_any_more(
    publish: Callable[..., Path], fragile: Path, tmp_path: Path
) -> None:
    publish("two", "1")
    publish("", "1", base="fragile", source=fragile)
    config = tmp_path / "models.config"
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" }}'
        for name in ("m", "fragile")
    )
    config.write_text(f"model_config_list {{ {entries} }}")
    with started(
        "--port=0", f"--model_config_file={config}", "--max_num_load_retries=0"
    ) as process:
        port = process.port()
        kill_by_request(process, port)
        assert process.matches(
            "^the model server died: SIGABRT; in hand: run of model fragile version 1; "
            "starting it again$"
        )
        with channel_to(f"127.0.0.1:{port}") as channel:
            assert Api(channel).predict(x=ones()).outputs
        assert states(port, "fragile")[1][0] == "AVAILABLE"
        kill_by_request(process, port)
        kill_by_request(process, port)
        ((state, text),) = states(port, "fragile").values()
        assert state == "END"
        assert text.startswith("the model server died (SIGABRT) while it worked on this version")
        with channel_to(f"127.0.0.1:{port}") as channel:
            assert Api(channel).predict(x=ones()).outputs
            assert refusal(lambda: Api(channel).prediction.Predict(KILLER))[0] == "NOT_FOUND"
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 0


@pytest.mark.integration
def test_a_version_that_kills_it_while_it_loads_is_a_bad_version(
    publish: Callable[..., Path], fragile: Path, tmp_path: Path
) -> None:
    publish("", "1", base="fragile", source=fragile)
    flags = (f"--model_base_path={tmp_path}/fragile", "--model_name=fragile")
    with started("--port=0", *flags) as process:
        port = process.port()
        beside = tmp_path / "beside"
        (publish("", "2", base="other", source=fragile)).rename(beside)
        write_warmup(beside, [predict_log(KILLER)])
        beside.rename(tmp_path / "fragile" / "2")
        process.wait_for(
            "^the model server died: SIGABRT; in hand: load of model fragile version 2"
        )
        found = until(lambda: states(port, "fragile"), "the server to come back")
        assert found[1] == ("AVAILABLE", "")
        assert found[2][0] == "END"


@pytest.mark.integration
def test_the_server_ends_with_the_process_that_watches_it(publish: Callable[..., Path]) -> None:
    base = publish("two", "1").parent
    with started("--port=0", f"--model_base_path={base}", "--model_name=m") as process:
        port = process.port()
        assert states(port, "m")
        os.kill(process.popen.pid, signal.SIGKILL)
        until(lambda: not states(port, "m"), "the server to end")


@pytest.mark.slow
@pytest.mark.integration
def test_killed_without_anything_in_hand_it_comes_back_three_times(
    publish: Callable[..., Path],
) -> None:
    base = publish("two", "1").parent
    with started("--port=0", f"--model_base_path={base}", "--model_name=m") as process:
        port = process.port()
        for deaths in range(1, 4):
            os.kill(process.server(), signal.SIGKILL)
            until(lambda n=deaths: len(process.matches("^the model server died: SIGKILL")) == n)
            if deaths < 3:
                until(lambda n=deaths: len(process.matches(f"Running gRPC.*:{port} ")) == n + 1)
                assert states(port, "m")[1][0] == "AVAILABLE"
        assert process.end() == 128 + signal.SIGKILL
