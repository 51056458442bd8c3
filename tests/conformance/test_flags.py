"""Flags: how they are read, their defaults, and how a start fails."""

import re
from dataclasses import dataclass

import pytest

from server.ports import free_port
from tests.conformance import models
from tests.conformance.cases import Text, contains, matches
from tests.conformance.disk import Disk
from tests.conformance.programs import Program

pytestmark = pytest.mark.integration

FAILED = 255


@dataclass(frozen=True)
class Run:
    """A command line that doesn't get as far as serving.

    Attributes:
        name: What it shows.
        flags: The flags; FOLDER stands for one with the files of FILES, PORT for a free port.
        text: What its output says.
        code: Its exit status.
    """

    name: str
    flags: tuple[str, ...]
    text: Text
    code: int = FAILED


USAGE = contains("usage: ")


def parse_error(message: str) -> Text:
    return contains(f"Error parsing text-format tensorflow.serving.{message}: ")


RUNS = [
    Run("help", ("--help",), USAGE),
    Run("help before others", ("--help", "--port=8500"), USAGE),
    Run("a number that is none", ("--port=x",), USAGE),
    Run("no number", ("--port=",), USAGE),
    Run("a boolean that is none", ("--enable_batching=yes",), USAGE),
    Run("a boolean number", ("--enable_model_warmup=1",), USAGE),
    Run("no model", (), contains(
        "Both server_options.model_base_path and server_options.model_config_file are empty!")),
    Run("a relative path", ("--model_base_path=here",), contains(
        "Expected model default to have an absolute path or URI; got base_path()=here")),
    Run("a relative path of a named model", ("--model_base_path=here", "--model_name=m"), contains(
        "Expected model m to have an absolute path or URI; got base_path()=here")),
    Run("a configuration that is not there", ("--model_config_file=FOLDER/none",), contains(
        "Failed to start server. Error: ")),
    Run("an unparsable configuration", ("--model_config_file=FOLDER/bad.config",),
        parse_error("ModelServerConfig")),
    Run("an unparsable configuration's name", ("--model_config_file=FOLDER/bad.config",),
        contains("Invalid protobuf file: 'FOLDER/bad.config'")),
    Run("a configuration without platform", ("--model_config_file=FOLDER/platform.config",),
        contains("Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                 "ModelServerConfig::model_platform, model name is a")),
    Run("a name twice", ("--model_config_file=FOLDER/twice.config",),
        contains("Illegal to list model a multiple times in config list")),
    Run("the configuration beats the model flags", (
        "--model_config_file=FOLDER/bad.config", "--model_base_path=/nowhere"),
        parse_error("ModelServerConfig")),
    Run("batching parameters without batching", (
        "--model_base_path=/nowhere", "--batching_parameters_file=FOLDER/good.batching"),
        contains("server_options.batching_parameters_file is set without setting "
                 "server_options.enable_batching to true.")),
    Run("unparsable batching parameters", ("--model_base_path=/nowhere", "--enable_batching",
        "--batching_parameters_file=FOLDER/bad.config"), parse_error("BatchingParameters")),
    Run("batching parameters that are not there", ("--model_base_path=/nowhere",
        "--enable_batching", "--batching_parameters_file=FOLDER/none"),
        contains("Failed to start server. Error: ")),
    Run("unparsable monitoring", ("--model_base_path=FOLDER/models/one",
        "--port=PORT", "--rest_api_port=PORT",
        "--monitoring_config_file=FOLDER/bad.config"), parse_error("MonitoringConfig")),
    Run("unparsable TLS", ("--model_base_path=FOLDER/models/one", "--port=PORT",
        "--ssl_config_file=FOLDER/bad.config"), parse_error("SSLConfig")),
    Run("a label of a version away", ("--model_config_file=FOLDER/label.config", "--port=PORT"),
        contains("Request to assign label to version 9 of model one, which is not currently "
                 "available for inference")),
]  # fmt: skip

GOOD = 'base_path: "/nowhere" model_platform: "tensorflow"'

FILES = {
    "bad.config": "nonsense {",
    "platform.config": "model_config_list { config { name: 'a' base_path: '/nowhere' } }",
    "twice.config": f"model_config_list {{ config {{ name: 'a' {GOOD} }} "
    f"config {{ name: 'a' {GOOD} }} }}",
    "good.batching": "max_batch_size { value: 4 }",
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """A disk with the files of FILES, and a model `one`, version 1."""
    disk = Disk(tmp_path_factory.mktemp("flags"))
    for name, text in FILES.items():
        (disk.root / name).write_text(text)
    disk.publish("one", 1)
    label = 'version_labels { key: "live" value: 9 }'
    text = models.config(models.entry("one", disk.base("one"), label))
    (disk.root / "label.config").write_text(text)
    return disk


@pytest.mark.parametrize("run", RUNS, ids=[run.name.replace(" ", "-") for run in RUNS])
def test_ends_at_once(program: Program, disk: Disk, run: Run) -> None:
    """With its exit status and its words."""
    flags = [flag.replace("FOLDER", str(disk.root)) for flag in run.flags]
    done = program.run(*(flag.replace("PORT", str(free_port())) for flag in flags))
    assert done.returncode == run.code, done.stderr
    text = run.text
    if isinstance(text, re.Pattern):
        pattern = text.pattern.replace("FOLDER", re.escape(str(disk.root)))
        text = re.compile(pattern, text.flags)
    matches(done.stdout + done.stderr, text)


def test_version(program: Program) -> None:
    done = program.run("--version")
    assert done.returncode == 0
    assert re.search(r"^TensorFlow ModelServer: \S+.*$", done.stdout, re.MULTILINE)
    assert re.search(r"^TensorFlow Library: \d+\.\d+\.\S+$", done.stdout, re.MULTILINE)


DEFAULTS = {
    "port": "8500",
    "rest_api_port": "0",
    "rest_api_timeout_in_ms": "30000",
    "rest_api_enable_cors_support": "false",
    "grpc_socket_path": "",
    "model_name": "default",
    "model_base_path": "",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": "0",
    "file_system_poll_wait_seconds": r"1(\.0+)?",
    "enable_batching": "false",
    "allow_version_labels_for_unavailable_models": "false",
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": "false",
    "enable_model_warmup": "true",
    "num_request_iterations_for_warmup": "1",
    "max_num_load_retries": "5",
    "load_retry_interval_micros": "60000000",
    "ssl_config_file": "",
    "monitoring_config_file": "",
    "enable_grpc_healthcheck_service": "false",
    "enable_serialization_as_tensor_content": "false",
    "enable_signature_method_name_check": "false",
    "grpc_channel_arguments": "",
    "saved_model_tags": "serve",
}


def test_defaults(program: Program) -> None:
    """As the usage shows them."""
    done = program.run("--help")
    text = done.stdout + done.stderr
    shown = dict(re.findall(r'^\s*--(\w+)="?([^"\s]*)"?(?:\s|$)', text, re.MULTILINE))
    wrong = {
        name: shown.get(name)
        for name, default in DEFAULTS.items()
        if not re.fullmatch(default, shown.get(name, "missing"))
    }
    assert not wrong


def test_a_flag_apart_from_its_value_is_unknown(program: Program) -> None:
    """Flags are --name=value; both words are printed, and the port stays the default."""
    done = program.run("--port", "x", "--model_base_path=here")
    assert done.returncode == FAILED
    text = done.stdout + done.stderr
    assert "unknown argument: --port" in text
    assert "unknown argument: x" in text
