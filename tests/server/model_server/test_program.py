"""The program as a process: readiness, signals, flags, sockets."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.model_server.manager import Manager, Retries
from server.model_server.service import build
from server.ports import free_port
from tests.server.model_server.helpers import (
    PATIENCE,
    Api,
    channel_to,
    ones,
    refusal,
    request_for,
    until,
)
from tests.server.model_server.process import CODE, started

pytestmark = pytest.mark.integration


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_from_start_to_drain(publish: Callable[..., Path], tmp_path: Path) -> None:
    """The ports open after the load; then both answer; SIGTERM lets a running call finish."""
    port, path = free_port(), tmp_path / "s"
    base = tmp_path / "m"
    flags = [
        f"--port={port}",
        f"--grpc_socket_path={path}",
        f"--model_base_path={base}",
        "--model_name=m",
        "--file_system_poll_wait_seconds=0.1",
        "--num_load_threads=2",
        "--nonsense",
    ]
    with started(*flags) as process:
        process.wait_for("no look at the models")  # No folder yet: it waits, with closed ports.
        assert refuses(port)
        assert not path.exists()
        publish("two", "1")
        assert process.port() == port
        assert process.lines[:2] == [
            "unknown argument: --nonsense",
            "ignored, without effect here: --num_load_threads=2",
        ]
        ours = re.compile(r"[-0-9: ,]+ (INFO|WARNING) |Running ")
        assert all(ours.match(line) for line in process.lines[2:]), process.lines
        with channel_to(f"unix:{path}") as channel:
            assert Api(channel).predict(x=ones()).model_spec.version.value == 1
        with channel_to(f"127.0.0.1:{port}") as channel:
            api = Api(channel)
            assert api.predict(x=ones()).outputs
            waiting = request_for(signature="wait", path=bytes(tmp_path / "go"))
            call = api.prediction.Predict.future(waiting, timeout=PATIENCE)
            # Calls on a channel start in order: an answer to a later one says that it runs.
            assert api.predict(x=ones()).outputs
            assert not call.done()
            process.popen.send_signal(signal.SIGTERM)
            process.wait_for("finishing the calls in flight")
            until(lambda: refuses(port))
            assert not call.done()
            (tmp_path / "go0").touch()
            assert call.result().outputs["looks"].int_val[0] > 0
        assert process.end() == 0, "\n".join(process.lines)


def test_second_signal_ends_at_once(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish("two", "1")
    flags = ["--port=0", f"--model_base_path={tmp_path / 'm'}", "--model_name=m"]
    with started(*flags) as process, channel_to(f"127.0.0.1:{process.port()}") as channel:
        api = Api(channel)
        endless = request_for(signature="wait", path=bytes(tmp_path / "go"))
        call = api.prediction.Predict.future(endless, timeout=PATIENCE)
        assert api.predict(x=ones()).outputs
        process.popen.send_signal(signal.SIGINT)
        process.wait_for("finishing the calls in flight")
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 128 + signal.SIGTERM
        assert refusal(call.result)[0] in ("UNAVAILABLE", "CANCELLED")


def test_failed_start(publish: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    flags = ["--port=0", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0"]
    with started(*flags) as process:
        assert process.end() == 255
        text = "\n".join(process.lines)
        start = (
            "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
            "{{name: default version: 1} due to error: NOT_FOUND: Specified file path does not "
            "appear to contain a SavedModel bundle (should have a file called "
            f"`saved_model.pb`)\nSpecified file path: {tmp_path / 'm' / '1'}}}, }}"
        )
        assert start in text


def test_signal_while_waiting_for_a_model(tmp_path: Path) -> None:
    with started("--port=0", f"--model_base_path={tmp_path / 'none'}") as process:
        process.wait_for("no look at the models")
        process.popen.terminate()
        assert process.end() == 0


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--help"], "usage: lince model-server"),
        (["--port=x"], "Couldn't interpret value x for flag --port."),
        ([], "Failed to start server. Error: INVALID_ARGUMENT: Both server_options"),
        (["--model_base_path=m"], "Expected model default to have an absolute path"),
        (["--model_base_path=/m", "--ssl_config_file=f"], "NOT_FOUND: f; No such file"),
    ],
)
def test_exit_status_255(flags: list[str], text: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *flags], capture_output=True, text=True)
    assert done.returncode == 255
    assert text in done.stderr


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(
        r"TensorFlow ModelServer: \S+ \(lince\)\nTensorFlow Library: \d+\.\S+\n", done.stdout
    )


def test_a_port_in_use_is_refused() -> None:
    first = build({}, ["127.0.0.1:0"], 1, with_health=False)
    with pytest.raises(RuntimeError):
        build({}, [f"127.0.0.1:{first.port}"], 1, with_health=False)
    first.grpc_server.stop(0).wait()


def test_a_health_watcher_does_not_hold_up_the_end() -> None:
    manager = Manager(lambda *_: pytest.fail("nothing to load"), Retries())
    server = build({}, ["127.0.0.1:0"], 2, with_health=True)
    server.start()
    with channel_to(f"127.0.0.1:{server.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        server.drain(manager, patience_seconds=0.1)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_a_run_that_nobody_waits_for_does_not_keep_it(
    publish: Callable[..., Path], tmp_path: Path
) -> None:
    """Its caller has gone, and the graph would wait for a file that never comes."""
    base = publish("two", "1").parent
    with started("--port=0", f"--model_base_path={base}", "--model_name=m") as process:
        with channel_to(f"127.0.0.1:{process.port()}") as channel:
            api = Api(channel)
            waiting = request_for(signature="wait", path=bytes(tmp_path / "never"))
            call = api.prediction.Predict.future(waiting)
            assert api.predict(x=ones()).outputs
            call.cancel()
            assert api.predict(x=ones()).outputs
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 0
