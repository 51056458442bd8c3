"""Keys are found by their hash alone, and a changed file is noticed without a restart."""

import logging
import os
import time
from pathlib import Path

import pytest

from server.errors import KeyFileError
from server.security.key_ring import KeyRing
from server.security.rates import Rate
from tests.server.records import records_of
from tests.server.security.helpers import Clock, keys_in, made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def name_of(ring: KeyRing, secret: str) -> str | None:
    holder = ring.find(secret)
    return holder.name if holder else None


def age(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets an hour pass since the file was written."""
    written = time.time()
    monkeypatch.setattr(time, "time", lambda: written + 3600)


def test_holders(path: Path) -> None:
    (shop, first), (lab, second) = made("shop"), made("lab")
    ring = KeyRing(keys_in(path, first, second), 0)
    assert name_of(ring, shop) == "shop"
    assert name_of(ring, lab) == "lab"


@pytest.mark.parametrize("change", ["", "x", "lince_", "\udcff", "0" * 1_000_000])
def test_other_keys_are_nobody_s(path: Path, change: str) -> None:
    secret, key = made("shop")
    ring = KeyRing(keys_in(path, key), 0)
    assert ring.find(change) is None
    assert ring.find(secret + change) is None or change == ""
    assert ring.find(secret[:-1]) is None
    assert ring.find(secret.upper()) is None
    assert ring.find(key.sha256) is None  # who reads the file has no key by that


def test_an_empty_file_lets_nobody_pass(path: Path) -> None:
    ring = KeyRing(keys_in(path), 0)
    assert ring.find(made("shop")[0]) is None


def test_rates(path: Path) -> None:
    makings = [made("own", 5, 7), made("default"), made("free", 0)]
    ring = KeyRing(keys_in(path, *(key for _, key in makings)), 2)
    holders = [ring.find(secret) for secret, _ in makings]
    assert [holder and holder.rate for holder in holders] == [Rate(5, 7), Rate(2, 4), None]


@pytest.mark.parametrize("settled", [True, False])
def test_a_change_is_noticed_within_a_second(
    path: Path, clock: Clock, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old, first), (new, second) = made("old"), made("new")
    keys_in(path, first)
    if settled:
        age(path, monkeypatch)
    ring = KeyRing(path, 0, clock)
    keys_in(path, second)
    assert (name_of(ring, old), name_of(ring, new)) == ("old", None)
    clock.now += 1
    assert (name_of(ring, old), name_of(ring, new)) == (None, "new")


def test_a_file_that_stays_is_read_once(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, key = made("shop")
    keys_in(path, key)
    age(path, monkeypatch)
    ring = KeyRing(path, 0, clock)
    monkeypatch.setattr("server.security.key_file.read", lambda _: pytest.fail("was read"))
    for _ in range(5):
        clock.now += 1
        assert name_of(ring, secret) == "shop"


def test_a_change_with_the_same_size_and_time_is_noticed(path: Path, clock: Clock) -> None:
    """What has just been written may be written once more before the file system's clock ticks."""
    # Names that no digest has letters of.
    (old, first), (new, second) = made("shop"), made("crew")
    keys_in(path, first)
    ring = KeyRing(path, 0, clock)
    before = path.stat()
    text = path.read_text().replace(first.name, second.name).replace(first.sha256, second.sha256)
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    clock.now += 1
    assert (name_of(ring, old), name_of(ring, new)) == (None, "crew")


@pytest.mark.parametrize("broken", ["{", None])
def test_a_broken_file_keeps_the_keys_and_is_said_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    secret, key = made("shop")
    ring = KeyRing(keys_in(path, key), 0, clock)
    path.unlink() if broken is None else path.write_text(broken)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.now += 1
            assert name_of(ring, secret) == "shop"
        [record] = records_of(caplog, "server.security.key_ring")
        assert record.levelname == "ERROR"
        assert str(path) in record.getMessage()
        path.unlink(missing_ok=True)
        other, key = made("other")
        keys_in(path, key)
        clock.now += 1
        assert (name_of(ring, secret), name_of(ring, other)) == (None, "other")
        assert records_of(caplog, "server.security.key_ring")[-1].levelname == "INFO"
        assert "1 API keys" in records_of(caplog, "server.security.key_ring")[-1].getMessage()


def test_broken_at_the_start_is_an_error(path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"keys\.json"):
        KeyRing(path, 0)
    path.write_text('{\n"keys": 1}')
    with pytest.raises(KeyFileError, match=r"keys"):
        KeyRing(path, 0)
