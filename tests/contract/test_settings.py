"""The settings: one table, one error with everything that is wrong."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from contract.errors import SettingsError
from contract.pixels import MOST_PIXELS
from contract.settings import PREFIX, Settings, describe

# field → (text, value in force)
GOOD: dict[str, list[tuple[str, Any]]] = {
    "models": [
        ("cats", ("cats",)),
        ("cats,dogs", ("cats", "dogs")),
        (" cats , dogs,, ", ("cats", "dogs")),
        (",", ()),
    ],
    "default_model": [("cats", "cats")],
    "canary": [
        ("cats=canary:10", ("cats=canary:10",)),
        ("cats=a:0.5, dogs=b:100", ("cats=a:0.5", "dogs=b:100")),
    ],
    "model_server": [("server:9000", "server:9000"), ("unix:///tmp/s", "unix:///tmp/s")],
    "model_server_program": [("embedded", "embedded"), ("/opt/tfs/server", "/opt/tfs/server")],
    "model_server_ca": [("ca.pem", Path("ca.pem")), ("~/ca.pem", Path.home() / "ca.pem")],
    "model_server_name": [("tfs.example", "tfs.example")],
    "host": [("0.0.0.0", "0.0.0.0"), (" :: ", "::")],
    "port": [("1", 1), ("65535", 65535), (" 80 ", 80)],
    "workers": [("1", 1), ("4096", 4096)],
    "threads": [("1", 1), ("64", 64)],
    "working": [("0", 0), ("2", 2)],
    "max_waiting": [("0", 0), ("65536", 65536)],
    "max_connections": [("1", 1), ("1000000", 10**6)],
    "max_buffered_bytes": [("1024", 1024)],
    "body_seconds": [("0.5", 0.5)],
    "drain_delay_seconds": [("0", 0.0), ("5", 5.0)],
    "timeout_seconds": [("2", 2.0), ("0.25", 0.25), ("86400", 86400.0), ("1e1", 10.0)],
    "refresh_seconds": [("0.5", 0.5)],
    "drain_seconds": [("60", 60.0)],
    "max_body_bytes": [("1024", 1024), ("1000000000000", 10**12)],
    "max_image_pixels": [("1", 1), (str(MOST_PIXELS), MOST_PIXELS)],
    "max_images": [("1", 1), ("4096", 4096)],
    "calls_at_once": [("1", 1), ("4096", 4096)],
    "max_batch": [("1", 1), ("4096", 4096)],
    "cache_answers": [("0", 0), ("100000", 100_000)],
    "metrics_port": [("0", 0), ("9100", 9100)],
    "metrics_host": [("0.0.0.0", "0.0.0.0")],
    "log_level": [("debug", "debug"), ("error", "error")],
    "access_log": [("0", 0.0), ("0.01", 0.01), ("1", 1.0)],
    "prediction_log": [("p.jsonl", Path("p.jsonl")), ("~/p", Path.home() / "p")],
    "prediction_log_share": [("0", 0.0), ("0.5", 0.5)],
    "prediction_log_images": [("images", Path("images"))],
    "drift_window": [("500", 500), ("1000000", 10**6)],
    "api_keys_file": [("keys.json", Path("keys.json")), ("~/k", Path.home() / "k")],
    "rate": [("0", 0.0), ("2.5", 2.5), ("10000", 10_000.0)],
    "cors_origins": [
        ("*", ("*",)),
        ("https://a.example, http://[::1]:3000", ("https://a.example", "http://[::1]:3000")),
        ("capacitor://localhost", ("capacitor://localhost",)),
    ],
    "hsts_seconds": [("0", 0), ("31536000", 31_536_000)],
    "models_dir": [("/srv/models", Path("/srv/models")), ("~/models", Path.home() / "models")],
    "runs_dir": [("some where", Path("some where")), ("~/runs", Path.home() / "runs")],
    "cache_dir": [("/tmp/c", Path("/tmp/c")), ("~/c", Path.home() / "c")],
    "gateway": [("https://lince.example/x", "https://lince.example/x")],
}
BAD: dict[str, list[str]] = {
    "port": ["-1", "65536", "http", "80.5", "0x50", "true", "1,000"],
    "workers": ["0", "-2", "4097", "many"],
    "threads": ["0", "4097"],
    "working": ["-1", "4097"],
    "max_waiting": ["-1", "65537"],
    "max_connections": ["0"],
    "max_buffered_bytes": ["1023"],
    "body_seconds": ["0", "-3"],
    "drain_delay_seconds": ["-1", "soon"],
    "timeout_seconds": ["0", "-1", "86401", "nan", "inf", "10s"],
    "refresh_seconds": ["0", "soon"],
    "drain_seconds": ["0", "1 2"],
    "max_body_bytes": ["1023", "32MB"],
    "max_image_pixels": ["0", str(MOST_PIXELS + 1)],
    "max_images": ["0", "4097"],
    "calls_at_once": ["0", "4097"],
    "max_batch": ["0", "4097"],
    "cache_answers": ["-1", "many"],
    "metrics_port": ["-1", "65536", "off", "8000"],
    "log_level": ["loud", "INFO", "20"],
    "access_log": ["-0.1", "1.1", "nan", "off"],
    "prediction_log_share": ["-0.1", "2"],
    "drift_window": ["0", "499", "1000001"],
    "rate": ["-1", "10001", "nan", "often"],
    "cors_origins": ["shop.example", "https://shop.example/", "https://Shop.example", "null"],
    "hsts_seconds": ["-1", "1.5", "63072001"],
    "models_dir": ["~no-such-user-here/models"],
    "cache_dir": ["~no-such-user-here/cache"],
}
FIELDS = [field.name for field in dataclasses.fields(Settings)]


# They are only good together; see test_files_of_tls.
TOGETHER = {"model_server_certificate", "model_server_key"}


def variable(field: str) -> str:
    return PREFIX + field.upper()


def test_the_tables_above_cover_every_field() -> None:
    assert set(GOOD) | TOGETHER == set(FIELDS)
    numbers = {
        item.name for item in dataclasses.fields(Settings) if isinstance(item.default, int | float)
    }
    assert numbers <= set(BAD)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [(field, text, value) for field, cases in GOOD.items() for text, value in cases],
)
def test_value(field: str, text: str, value: Any) -> None:
    settings = Settings.from_environment({variable(field): text})
    assert getattr(settings, field) == value
    assert type(getattr(settings, field)) is type(value)
    default = Settings.from_environment({})
    assert dataclasses.replace(settings, **{field: getattr(default, field)}) == default


@pytest.mark.parametrize(
    ("field", "text"), [(field, text) for field, texts in BAD.items() for text in texts]
)
def test_wrong_value_is_named(field: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable(field)}={re.escape(text)}: \S"):
        Settings.from_environment({variable(field): text})


def test_all_that_is_wrong_is_told_at_once() -> None:
    environment = {variable(field): texts[0] for field, texts in BAD.items()}
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environment | {variable("host"): "localhost"})
    lines = str(caught.value).splitlines()
    order = [variable(field) for field in FIELDS if field in BAD]
    assert [line.partition("=")[0] for line in lines] == order


def test_files_of_tls() -> None:
    names = ("LINCE_MODEL_SERVER_CA", "LINCE_MODEL_SERVER_CERTIFICATE", "LINCE_MODEL_SERVER_KEY")
    environment = {name: f"{number}.pem" for number, name in enumerate(names)}
    settings = Settings.from_environment(environment)
    assert settings.model_server_key == Path("2.pem")
    for name in names:
        rest = {other: text for other, text in environment.items() if other != name}
        with pytest.raises(SettingsError, match="CERTIFICATE and LINCE_MODEL_SERVER_KEY go to"):
            Settings.from_environment(rest)


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("default_model", "owls", "it is not in LINCE_MODELS"),
        ("canary", "owls=canary:5", "owls is not in LINCE_MODELS"),
        ("canary", "cats=canary:5,cats=other:5", "cats has one already"),
        ("canary", "cats", "'cats' has not the form model=label:percent"),
        ("canary", "cats=can-ary:5", "has not the form model=label:percent"),
        ("canary", "cats=canary:-5", "has not the form model=label:percent"),
        ("canary", "cats=canary:101", "'cats=canary:101' is more than 100 percent"),
    ],
)
def test_what_is_said_of_models(field: str, text: str, problem: str) -> None:
    environment = {"LINCE_MODELS": "cats,dogs", variable(field): text}
    with pytest.raises(SettingsError, match=rf"^{variable(field)}={re.escape(text)}: .*{problem}$"):
        Settings.from_environment(environment)


def test_defaults() -> None:
    settings, table = Settings.from_environment({}), Settings()
    assert settings.cache_dir == table.cache_dir.expanduser()
    assert dataclasses.replace(settings, cache_dir=table.cache_dir) == table
    # Nothing listens beyond the machine, and nothing waits for ever, unless someone says so.
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model_server == "127.0.0.1:8500"
    assert settings.models == ()
    assert (settings.models_dir, settings.runs_dir) == (Path("models"), Path("runs"))
    assert settings.max_image_pixels <= MOST_PIXELS


def test_every_default_is_a_value_that_is_accepted() -> None:
    environment = {name: value for name, value, _ in describe(Settings())}
    assert Settings.from_environment(environment) == Settings.from_environment({})


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_means_default(empty: str) -> None:
    environment = dict.fromkeys(map(variable, FIELDS), empty)
    assert Settings.from_environment(environment) == Settings.from_environment({})


def test_only_our_variables_count() -> None:
    environment = {"PORT": "9", "lince_port": "9", "LINCE_TEST_REQUIRE": "all", "XLINCE_PORT": "9"}
    assert Settings.from_environment(environment) == Settings.from_environment({})


def test_no_home_is_an_error_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(Path, "expanduser", nobody)
    with pytest.raises(SettingsError, match=r"LINCE_CACHE_DIR=~/\.cache/lince: .*home"):
        Settings.from_environment({})


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_describe() -> None:
    settings = Settings.from_environment({"LINCE_MODELS": "b, a", "LINCE_PORT": "81"})
    table = describe(settings)
    assert [name for name, _, _ in table] == [variable(field) for field in FIELDS]
    values = {name: value for name, value, _ in table}
    assert (values["LINCE_MODELS"], values["LINCE_PORT"]) == ("b,a", "81")
    for name, value, text in table:
        assert isinstance(value, str)
        assert text not in ("", "None"), name
        assert not text.endswith("."), name
    assert len({text for _, _, text in table}) == len(table)
