"""Flags and configuration files: what is read, refused and tolerated. No TensorFlow needed."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from server.model_server import config
from server.model_server.errors import ServingError
from server.model_server.flags import IGNORED, BadFlagError, Options, parse, usage


def test_defaults() -> None:
    options = parse([]).options
    assert options == Options()
    assert (options.port, options.listen_address) == (8500, "127.0.0.1")


def test_values() -> None:
    argv = ["--port=1", "--model_name=a=b", "--enable_model_warmup=false", "--port=2", "--version"]
    options = parse(argv).options
    assert (options.port, options.model_name, options.enable_model_warmup) == (2, "a=b", False)
    assert options.version


def test_unknown_and_ignored() -> None:
    parsed = parse(["--port", "1", "--nonsense=2", "word", "--num_load_threads=2"])
    assert parsed.unknown == ("--port", "1", "--nonsense=2", "word")
    assert parsed.ignored == ("--num_load_threads=2",)
    assert parsed.options == Options()


@pytest.mark.parametrize(
    "argument",
    [
        "--port=x",
        "--port=",
        "--port=70000",
        "--port=1_0",
        "--version=1",
        "--enable_model_warmup=",
        "--rest_api_port=x",
        "--rest_api_port=70000",
        "--rest_api_timeout_in_ms=-1",
        "--num_load_threads=x",
        "--mixed_precision=float16",
        "--file_system_poll_wait_seconds=nan",
    ],
)
def test_bad_values(argument: str) -> None:
    with pytest.raises(BadFlagError, match="Couldn't interpret value"):
        parse([argument])


def test_usage_names_every_flag() -> None:
    text = usage("program")
    for name in [*IGNORED, *(f.name for f in fields(Options))]:
        assert f"--{name}" in text
    assert not set(IGNORED) & {f.name for f in fields(Options)}


PLATFORM = 'model_platform: "tensorflow"'
LABEL = ' version_labels { key: "b-c" value: 1 }'


def file_with(folder: Path, text: str) -> Options:
    path = folder / "models.config"
    path.write_text(text)
    return Options(model_config_file=str(path), model_base_path="relative, but not looked at")


def entry(name: str, path: str = "/m", platform: str = PLATFORM) -> str:
    return f'config {{ name: "{name}" base_path: "{path}" {platform} }}'


def test_config_file(tmp_path: Path) -> None:
    policy = "model_version_policy {{ {} }}"
    options = file_with(
        tmp_path,
        f"""model_config_list {{
        {entry("a")}
        {entry("b", "/b", 'model_platform: "tensorflow" ' + policy.format("all {}"))}
        {
            entry(
                "c",
                "/c",
                'model_platform: "tensorflow" '
                + policy.format("specific { versions: 2 versions: 9 }"),
            )
        }
        {
            entry(
                "d",
                "/d",
                'model_platform: "tensorflow" ' + policy.format("latest { num_versions: 2 }"),
            )
        }
        }}""",
    )
    models = config.from_proto(config.from_options(options))
    assert [(m.name, m.base_path) for m in models] == [
        ("a", "/m"), ("b", "/b"), ("c", "/c"), ("d", "/d")
    ]  # fmt: skip
    assert [m.policy([1, 2, 3]) for m in models] == [[3], [3, 2, 1], [2], [3, 2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"model_config_list {{ {entry('a')} {entry('a')} }}",
         "INVALID_ARGUMENT: Illegal to list model a multiple times in config list"),
        (f"model_config_list {{ {entry('a', 'x')} }}",
         "INVALID_ARGUMENT: Expected model a to have an absolute path or URI; "
         "got base_path()=x"),
        (f"model_config_list {{ {entry('a', '/a', '')} }}",
         "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type (deprecated) "
         "nor ModelServerConfig::model_platform, model name is a"),
        (f"model_config_list {{ {entry('a', '/a', 'model_type: TENSORFLOW ' + PLATFORM)} }}",
         "INVALID_ARGUMENT: Illegal setting both ModelServerConfig::model_type (deprecated) "
         "and ModelServerConfig::model_platform."),
        (f"model_config_list {{ {entry('a', '/a', 'model_type: OTHER')} }}",
         "INVALID_ARGUMENT: ModelServerConfig::model_type choice 2 not supported."),
        (f"model_config_list {{ {entry('a', '/a', PLATFORM + LABEL)} }}",
         "INVALID_ARGUMENT: Model a has the version label 'b-c', which may hold only letters, "
         "digits and underscores"),
        ("model_config_list { " + entry("a", "/a", 'model_platform: "onnx"') + " }",
         "INVALID_ARGUMENT: Model a requests unsupported platform onnx"),
    ],
)  # fmt: skip
def test_bad_config(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ServingError) as caught:
        config.from_options(file_with(tmp_path, text))
    assert str(caught.value) == expected


def test_unreadable_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = file_with(tmp_path, "model_config_list {{")
    with pytest.raises(ServingError) as caught:
        config.from_options(options)
    assert caught.value.text == f"Invalid protobuf file: '{options.model_config_file}'"
    text = "Error parsing text-format tensorflow.serving.ModelServerConfig: "
    assert capsys.readouterr().err.startswith(text)
    with pytest.raises(ServingError, match="NOT_FOUND"):
        config.from_options(Options(model_config_file=str(tmp_path / "none")))
    with pytest.raises(ServingError, match="are empty!"):
        config.from_options(Options())


def test_importing_the_package_loads_no_tensorflow() -> None:
    code = "import sys, server.model_server; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
