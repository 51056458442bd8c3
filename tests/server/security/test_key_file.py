"""The file of API keys: hashes alone, whole or not at all, and errors that name the place."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from server.errors import KeyFileError
from server.security import key_file
from tests.server.security.helpers import keys_in, made

ENTRY = {"name": "shop", "sha256": "0" * 64, "created": "2026-01-31T12:00:00Z"}


def with_entries(*entries: Any) -> str:
    return json.dumps({"keys": entries})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    keys = (made("shop")[1], made("lab", 0.5)[1], made("ops", 0)[1], made("big", 5, 50)[1])
    path = keys_in(tmp_path / "keys.json", *keys)
    assert key_file.read(path) == keys


def test_the_file_has_no_secret(tmp_path: Path) -> None:
    secret, key = made("shop")
    text = keys_in(tmp_path / "keys.json", key).read_text()
    assert secret not in text
    assert secret.removeprefix(key_file.PREFIX)[:8] not in text
    assert key_file.digest(secret).hex() in text


def test_secrets_are_256_random_bits() -> None:
    secrets = {key_file.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"lince_[A-Za-z0-9_-]{43}", secret)


@pytest.mark.parametrize("text", ["", "é", "\ud800", "x" * 10_000, "\0"])
def test_any_text_has_a_digest(text: str) -> None:
    assert len(key_file.digest(text)) == 32


WRONG = {
    "nothing": ("", "line 1: "),
    "cut off": ('{"keys":\n[{"name": "a"', "line 2: "),
    "no JSON": ('{"keys": [],\n\n x}', "line 3: "),
    "no UTF-8": ('{"keys": [{"name": "\udcff"}]}', "utf-8"),
    "a list": ("[]", "Expected `object`"),
    "no keys": ("{}", "`keys`"),
    "something else": ('{"keys": [], "more": 1}', "`more`"),
    "no name": (with_entries({**ENTRY, "name": None}), "$.keys[0].name"),
    "no hash": (with_entries(ENTRY, {"name": "a", "created": ENTRY["created"]}), "$.keys[1]"),
    "a name with a line break": (with_entries({**ENTRY, "name": "a\n"}), "$.keys[0].name"),
    "an empty name": (with_entries({**ENTRY, "name": ""}), "$.keys[0].name"),
    "a long name": (with_entries({**ENTRY, "name": "a" * 65}), "$.keys[0].name"),
    "a short hash": (with_entries({**ENTRY, "sha256": "0" * 63}), "$.keys[0].sha256"),
    "a large hash": (with_entries({**ENTRY, "sha256": "A" * 64}), "$.keys[0].sha256"),
    "a date": (with_entries({**ENTRY, "created": "yesterday"}), "$.keys[0].created"),
    "no zone": (with_entries({**ENTRY, "created": "2026-01-31T12:00:00"}), "$.keys[0].created"),
    "a rate below 0": (with_entries({**ENTRY, "rate": -1}), "$.keys[0].rate"),
    "a rate in words": (with_entries({**ENTRY, "rate": "many"}), "$.keys[0].rate"),
    "a burst of 0": (with_entries({**ENTRY, "burst": 0}), "$.keys[0].burst"),
    "an unknown field": (with_entries({**ENTRY, "rat": 1}), "`rat`"),
    "a name twice": (
        with_entries(ENTRY, {**ENTRY, "sha256": "1" * 64}),
        "keys[1].name is the same as keys[0].name",
    ),
    "a hash twice": (
        with_entries(ENTRY, {**ENTRY, "name": "b"}),
        "keys[1].sha256 is the same as keys[0].sha256",
    ),
    "too large": (" " * 2_100_000, "larger than"),
    "deep": ("[" * 100_000, "keys.json"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    text, expected = WRONG[case]
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(KeyFileError) as caught:
        key_file.read(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    with pytest.raises(KeyFileError), key_file.changing(path) as keys:
        keys.clear()
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_too_many_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    entries = [
        {**ENTRY, "name": f"k{n}", "sha256": f"{n:064x}"} for n in range(key_file.MOST_KEYS + 1)
    ]
    path.write_text(with_entries(*entries[:-1]))
    assert len(key_file.read(path)) == key_file.MOST_KEYS
    path.write_text(with_entries(*entries))
    with pytest.raises(KeyFileError, match=r"\$\.keys"):
        key_file.read(path)


@pytest.mark.parametrize("place", ["missing.json", ""])
def test_no_file(tmp_path: Path, place: str) -> None:
    with pytest.raises(KeyFileError, match=re.escape(str(tmp_path / place))):
        key_file.read(tmp_path / place)


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    key = made("shop")[1]
    path = keys_in(tmp_path / "keys.json", key)
    with contextlib.suppress(RuntimeError), key_file.changing(path) as keys:
        keys.clear()
        raise RuntimeError
    assert key_file.read(path) == (key,)


def test_who_may_read_it_stays(tmp_path: Path) -> None:
    path = keys_in(tmp_path / "keys.json", made("shop")[1])
    path.chmod(0o640)
    keys_in(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path = keys_in(tmp_path / "keys.json", made("shop")[1])
    link = tmp_path / "link.json"
    link.symlink_to(path)
    keys_in(link)
    assert link.is_symlink()
    assert key_file.read(path) == ()
    assert sorted(tmp_path.iterdir()) == [path, link]
