"""Configuration files as text: what is read, and how a bad one is refused."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from server.model_server.config import read_file
from server.model_server.errors import ServingError
from server.model_server.text_files import read_text_proto
from server.model_server.wire.files_pb2 import BatchingParameters, MonitoringConfig, SSLConfig

BATCHING = """
# The way in which TensorFlow Serving's guide writes them.
max_batch_size { value: 128 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000000 }
num_batch_threads { value: 8 }
thread_pool_name: { value: 'batches' }
allowed_batch_sizes: 8
allowed_batch_sizes: [32, 128]
pad_variable_length_inputs: true
enable_large_batch_splitting { value: False }
max_execution_batch_size { value: 64 }
"""


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            BatchingParameters,
            BATCHING,
            {
                "max_batch_size": "128",
                "batch_timeout_micros": "0",
                "max_enqueued_batches": "1000000",
                "num_batch_threads": "8",
                "thread_pool_name": "batches",
                "allowed_batch_sizes": ["8", "32", "128"],
                "pad_variable_length_inputs": True,
                "enable_large_batch_splitting": False,
                "max_execution_batch_size": "64",
            },
        ),
        (BatchingParameters, "", {}),
        (
            MonitoringConfig,
            'prometheus_config: { enable: true, path: "/metrics" }',
            {"prometheus_config": {"enable": True, "path": "/metrics"}},
        ),
        (
            SSLConfig,
            "server_key: 'k\\n' '2'\nserver_cert: 'c' custom_ca: 'a' client_verify: true",
            {"server_key": "k\n2", "server_cert": "c", "custom_ca": "a", "client_verify": True},
        ),
    ],
)
def test_files_for_tensorflow_serving(
    kind: Any, text: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "file.txt"
    path.write_text(text)
    message = read_text_proto(str(path), kind, "tensorflow.serving.X")
    assert MessageToDict(message, preserving_proto_field_name=True) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"max_batch_size: 128",  # not wrapped
        b"max_batch_size { value: 'many' }",
        b"unheard_of { value: 1 }",
        b"max_batch_size { value: 1 ",
        b"thread_pool_name { value: '\xff' }",
    ],
)
def test_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "batching.txt"
    path.write_bytes(content)
    name = "tensorflow.serving.BatchingParameters"
    with pytest.raises(ServingError) as caught:
        read_text_proto(str(path), BatchingParameters, name)
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{path}'"
    said = capsys.readouterr().err
    assert said.startswith(f"Error parsing text-format {name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        b'server_key: "MIIsecret',
        b"server_key: MIIsecret",
        b"MIIsecret: 1",
        b'server_key: "MIIsecret" server_key: "MIIsecret"',
        b'server_key: "MIIsecret\xff"',
    ],
)
def test_secrets_stay_out_of_the_log(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tls.txt"
    path.write_bytes(b"\n" + content)
    with pytest.raises(ServingError) as caught:
        read_text_proto(str(path), SSLConfig, "tensorflow.serving.SSLConfig", secret=True)
    said = capsys.readouterr().err
    assert said.startswith("Error parsing text-format tensorflow.serving.SSLConfig: ")
    assert "MII" not in f"{said} {caught.value} {caught.value.__cause__}"


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    with pytest.raises(ServingError) as caught:
        read_text_proto(str(path), SSLConfig, "tensorflow.serving.SSLConfig")
    assert str(caught.value) == f"NOT_FOUND: {path}; No such file or directory"


def test_the_models_file_is_one_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { name: 'm' base_path: '/m' } }")
    assert read_file(str(path)).model_config_list.config[0].name == "m"
    path.write_text("models: 1")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        read_file(str(path))
    said = capsys.readouterr().err
    assert said.startswith("Error parsing text-format tensorflow.serving.ModelServerConfig: 1:1")
