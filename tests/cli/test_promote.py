"""`lince promote` and `lince rollback`: what they say, print and end with."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import text_format

import lince
from contract.wire import serving_pb2 as pb
from export.rollout.errors import RolloutError
from tests.export.rollout.polling import CONFIG, MODEL, PollingServer, manifest, polling_servers

pytestmark = pytest.mark.heavy

QUICK = ("--settle", "0", "--wait", "20")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "models.config"


@pytest.fixture
def server(config: Path) -> Iterator[PollingServer]:
    disk = {1: manifest(0.9), 2: manifest(0.95), 3: manifest(0.7)}
    with polling_servers(config, disk, count=1) as made:
        yield made[0]


def call(verb: str, *arguments: str, config: Path, server: PollingServer) -> Result:
    runner = CliRunner(env={"LINCE_MODEL_SERVER": server.address})
    return runner.invoke(lince.cli, [verb, MODEL, "--config", str(config), *QUICK, *arguments])


def test_from_version_to_version(config: Path, server: PollingServer) -> None:
    for verb, arguments, last in (
        ("promote", ("1",), ["stable is version 1"]),
        ("promote", ("2", "--canary"), ["canary is version 2", "stable is version 1"]),
        ("promote", (), ["previous is version 1", "stable is version 2"]),
        ("rollback", (), ["stable is version 1"]),
    ):
        done = call(verb, *arguments, config=config, server=server)
        assert done.exit_code == 0, done.exception
        assert done.stderr.splitlines()[-len(last) :] == [f"{MODEL}: {line}" for line in last]
        assert not done.stdout
    assert server.labels[MODEL] == {"stable": 1}


def test_refused(config: Path, server: PollingServer) -> None:
    call("promote", "1", config=config, server=server)
    before = config.read_text()
    done = call("promote", "3", config=config, server=server)
    assert done.exit_code == 5
    assert done.stderr.splitlines()[-1] == (
        "Error: version 3: accuracy is 0.7000 instead of 0.9000: worse by more than 0.01;"
        " --force does it all the same"
    )
    assert config.read_text() == before
    for permission in (("--tolerance", "0.3"), ("--force",)):
        done = call("promote", "3", "--canary", *permission, config=config, server=server)
        assert done.exit_code == 0


def test_traffic_that_nobody_knows_of_is_refused(config: Path, server: PollingServer) -> None:
    call("promote", "1", config=config, server=server)
    call("promote", "2", "--canary", config=config, server=server)
    nowhere = ("--prometheus", "http://127.0.0.1:1")
    assert call("promote", *nowhere, config=config, server=server).exit_code == 5
    assert server.labels[MODEL] == {"stable": 1, "canary": 2}
    assert call("promote", *nowhere, "--force", config=config, server=server).exit_code == 0


def test_patches_for_kubernetes(config: Path, server: PollingServer) -> None:
    """Each step is a line, printed before it is waited for; its reader brings it to the server."""
    call("promote", "1", config=config, server=server)
    command = [sys.executable, "-m", "lince", "promote", MODEL, "2", "--config", "-"]
    environment = {**os.environ, "LINCE_MODEL_SERVER": server.address}
    with subprocess.Popen(
        [*command, "--kubernetes", "--key", "my.config", *QUICK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(config.read_text())
        process.stdin.close()
        patches = []
        for line in process.stdout:
            patch = json.loads(line)
            assert list(patch) == ["data"]
            patches.append(patch["data"].pop("my.config"))
            assert patch == {"data": {}}
            config.write_text(patches[-1])
        assert process.wait(60) == 0
    states = [
        (list(entry.model_version_policy.specific.versions), dict(entry.version_labels))
        for entry in map(entry_of, patches)
    ]
    assert states == [([1, 2], {"stable": 1}), ([1, 2], {"stable": 2, "previous": 1})]
    assert server.labels[MODEL] == {"stable": 2, "previous": 1}


def entry_of(text: str) -> pb.ModelConfig:
    parsed = text_format.Parse(text, pb.ModelServerConfig(), allow_unknown_field=True)
    return parsed.model_config_list.config[1]


def test_a_file_is_not_written_for_kubernetes(config: Path, server: PollingServer) -> None:
    done = call("promote", "1", "--kubernetes", "--wait", "0.1", config=config, server=server)
    assert isinstance(done.exception, RolloutError)
    first, back = (json.loads(line)["data"]["models.config"] for line in done.stdout.splitlines())
    assert "versions: 1" in first
    assert back == config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("promote", MODEL, "1"), 2, "--config"),
        (("promote", MODEL, "x", "--config", "f"), 2, "VERSION"),
        (("promote", MODEL, "1", "--config", "-"), 2, "--kubernetes"),
        (("promote", MODEL, "1", "--config", "nowhere"), 1, "nowhere"),
        (("promote", "nobody", "1", "--config", "models.config"), 1, "models.config: .*flowers"),
        (("promote", MODEL, "--config", "models.config"), 1, "VERSION"),
        (("rollback", MODEL, "--config", "models.config"), 1, "previous"),
        (("promote", MODEL, "1", "--config", "models.config"), 1, "127.0.0.1:1: UNAVAILABLE"),
    ],
)
def test_what_goes_wrong_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINCE_MODEL_SERVER", "127.0.0.1:1")
    Path("models.config").write_text(CONFIG)
    done = CliRunner().invoke(lince.cli, arguments)
    assert done.exit_code == code
    assert re.search(text, done.stderr if code == 2 else str(done.exception))
    assert code == 2 or isinstance(done.exception, RolloutError | OSError)
    assert Path("models.config").read_text() == CONFIG


def test_no_tensorflow(config: Path, server: PollingServer) -> None:
    code = (
        "import sys, lince\n"
        "lince.cli(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit(bool({'tensorflow', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "promote", MODEL, "1", "--config", str(config), *QUICK],
        env={**os.environ, "LINCE_MODEL_SERVER": server.address},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "stable is version 1" in done.stderr
