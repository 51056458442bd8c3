"""One file from the internet, from a server that may be away, slow, wrong or short."""

import errno
import io
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import cache
from training.data import download as downloads
from training.data.download import download
from training.errors import SourceError

CONTENT = bytes(range(256)) * 4000
SUM = helpers.sha256(CONTENT)


def test_a_file_arrives_whole_and_only_once(web: Web, tmp_path: Path) -> None:
    web.routes["/f.tgz"] = sends(CONTENT)
    target = tmp_path / "new" / "f.tgz"
    assert download(f"{web.url}/f.tgz", target, SUM) == target
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["f.tgz"]
    download(f"{web.url}/f.tgz", target, SUM)
    assert web.paths == ["/f.tgz"]


def test_what_an_earlier_try_got_is_not_fetched_again(web: Web, tmp_path: Path) -> None:
    web.routes["/f"] = sends(CONTENT, ranges=True)
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])
    assert download(f"{web.url}/f", tmp_path / "f", SUM).read_bytes() == CONTENT
    assert web.requests == [("/f", "bytes=1000-")]


def test_a_part_that_is_already_whole_is_taken(web: Web, tmp_path: Path) -> None:
    web.routes["/f"] = sends(CONTENT, ranges=True)
    (tmp_path / "f.part").write_bytes(CONTENT)
    assert download(f"{web.url}/f", tmp_path / "f", SUM).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_from_the_beginning(web: Web, tmp_path: Path) -> None:
    web.routes["/f"] = sends(CONTENT)
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    assert download(f"{web.url}/f", tmp_path / "f", SUM).read_bytes() == CONTENT


def test_a_broken_transfer_goes_on_where_it_stopped(web: Web, tmp_path: Path) -> None:
    web.routes["/f"] = sends(CONTENT[:5000], length=len(CONTENT))
    with pytest.raises(SourceError, match="more expected"):
        download(f"{web.url}/f", tmp_path / "f", SUM)
    assert [path.name for path in tmp_path.iterdir()] == ["f.part"]
    web.routes["/f"] = sends(CONTENT, ranges=True)
    assert download(f"{web.url}/f", tmp_path / "f", SUM).read_bytes() == CONTENT
    assert web.requests[-1] == ("/f", "bytes=5000-")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_checksum_throws_the_part_away(web: Web, tmp_path: Path, ranges: bool) -> None:
    web.routes["/f"] = sends(CONTENT, ranges=ranges)
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    if ranges:
        with pytest.raises(SourceError, match="wrong checksum"):
            download(f"{web.url}/f", tmp_path / "f", SUM)
        assert not list(tmp_path.iterdir())
    assert download(f"{web.url}/f", tmp_path / "f", SUM).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(web: Web, tmp_path: Path) -> None:
    web.routes["/f"] = sends(CONTENT, ranges=True)
    (tmp_path / "f.part").write_bytes(CONTENT + b"more")
    with pytest.raises(SourceError, match="wrong checksum"):
        download(f"{web.url}/f", tmp_path / "f", SUM)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_an_error_that_names_the_address(web: Web, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"http://127.*/f: .*Not Found"):
        download(f"{web.url}/f", tmp_path / "f")


def test_nobody_listening_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(SourceError, match="Connection refused"):
        download(f"{helpers.closed_port()}/f", tmp_path / "f")


def test_a_name_that_does_not_resolve_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match="Name or service not known"):
        download("http://no.such.host.invalid/f", tmp_path / "f")


def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.2)
    with helpers.silent_server() as url, pytest.raises(SourceError, match="timed out"):
        download(f"{url}/f", tmp_path / "f")


def test_a_transfer_that_would_never_end_is_given_up(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_PATIENCE_SECONDS", 0.2)
    web.routes["/f"] = helpers.drips
    with pytest.raises(SourceError, match="bytes a second"):
        download(f"{web.url}/f", tmp_path / "f")


def test_a_disk_without_room_is_an_error_before_anything_is_fetched(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.routes["/f"] = sends(CONTENT, ranges=True)
    (tmp_path / "f.part").write_bytes(CONTENT[:24_000])
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=500_000))
    with pytest.raises(SourceError, match=r"f: needs 1\.0 MB .* has 500\.0 kB free"):
        download(f"{web.url}/f", tmp_path / "f", SUM, size=len(CONTENT))
    assert web.requests == []
    with pytest.raises(SourceError, match=r"f: needs 1\.0 MB .* has 500\.0 kB free"):
        download(f"{web.url}/f", tmp_path / "f", SUM)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    download(f"{web.url}/f", tmp_path / "f", SUM, size=len(CONTENT))


def test_a_disk_that_gets_full_is_an_error_that_names_the_file(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    web.routes["/f"] = sends(CONTENT)
    monkeypatch.setattr(downloads, "_copy", full)
    with pytest.raises(SourceError, match=f"no space left on the disk for {tmp_path}/f.part"):
        download(f"{web.url}/f", tmp_path / "f", SUM)


def test_a_folder_that_cant_be_made_is_an_error(web: Web, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(SourceError, match="File exists"):
        download(f"{web.url}/f", tmp_path / "cache" / "f", SUM)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_for_terminals(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    shown = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    web.routes["/f.tgz"] = sends(CONTENT)
    download(f"{web.url}/f.tgz", tmp_path / "f.tgz")
    assert ("f.tgz" in shown.getvalue()) is terminal
