"""`lince key`: a key is shown once, and the file has its hash."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lince
from contract.settings import Settings
from server.errors import KeyFileError
from server.problems import Problem
from server.security.guard import make_guard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def key(*arguments: str | Path, **variables: str) -> Result:
    return CliRunner(env=variables).invoke(lince.cli, ["key", *map(str, arguments)])


def who(path: Path, secret: str) -> str:
    return make_guard(Settings(api_keys_file=path)).check({"x-api-key": secret}, "/v1/models").name


def test_a_new_key_opens_a_gateway(path: Path) -> None:
    done = key("new", "shop", "--file", path)
    assert done.exit_code == 0
    secret = done.stdout.strip()
    assert done.stdout == f"{secret}\n"
    assert secret not in done.stderr
    assert secret not in path.read_text()
    assert who(path, secret) == "shop"


def test_the_file_of_the_environment(path: Path) -> None:
    secret = key("new", "shop", LINCE_API_KEYS_FILE=str(path)).stdout.strip()
    assert who(path, secret) == "shop"
    assert "shop" in key("list", LINCE_API_KEYS_FILE=str(path)).stdout


def test_a_list_without_secrets(path: Path) -> None:
    secrets = [
        key("new", *options, "--file", path).stdout.strip()
        for options in (
            ("shop",),
            ("laboratory", "--rate", "2.5", "--burst", "9"),
            ("ops", "--rate", "0"),
        )
    ]
    shown = key("list", "--file", path)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["shop", "laboratory", "ops"]
    ends = ("LINCE_RATE", "2.5 a second, 9 at once", "no limit")
    for line, end in zip(shown.stdout.splitlines(), ends, strict=True):
        assert line.endswith(end)
    assert not [secret for secret in secrets if secret in shown.output]


def test_a_key_is_replaced_and_revoked(path: Path) -> None:
    old = key("new", "shop", "--file", path).stdout.strip()
    new = key("new", "shop-2", "--file", path).stdout.strip()
    assert (who(path, old), who(path, new)) == ("shop", "shop-2")
    assert key("revoke", "shop", "--file", path).exit_code == 0
    assert who(path, new) == "shop-2"
    with pytest.raises(Problem):
        who(path, old)
    assert key("revoke", "shop-2", "--file", path).exit_code == 0
    assert "no keys" in key("list", "--file", path).stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("new", "shop"), "has a key shop already"),
        (("revoke", "nobody"), "has no key nobody"),
        (("new", "a", "--rate", "-1"), "--rate"),
        (("new", "a", "--burst", "0"), "--burst"),
        (("new",), "NAME"),
    ],
)
def test_what_goes_wrong_changes_nothing(path: Path, arguments: tuple[str, ...], text: str) -> None:
    key("new", "shop", "--file", path)
    before = path.read_bytes()
    done = key(*arguments, "--file", path)
    assert done.exit_code != 0
    assert text in done.stderr
    assert not done.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a b", "", "-", "ü", "a" * 65, "a\n", "../a"])
def test_names_are_fit_for_a_log(path: Path, name: str) -> None:
    done = key("new", "--file", path, "--", name)
    assert isinstance(done.exception, KeyFileError)
    assert not path.exists()


def test_which_file() -> None:
    done = key("list", LINCE_API_KEYS_FILE="")
    assert done.exit_code == 1
    assert "LINCE_API_KEYS_FILE" in done.stderr


def test_a_broken_file_is_left_alone(path: Path) -> None:
    path.write_text('{"keys": [}')
    for arguments in (("new", "a"), ("revoke", "a"), ("list",)):
        done = key(*arguments, "--file", path)
        assert isinstance(done.exception, KeyFileError)
        assert str(path) in str(done.exception)
    assert path.read_text() == '{"keys": [}'
