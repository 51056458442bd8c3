"""Fashion-MNIST: the sources in their order, each of which may fail in its own way."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.pixels import PixelSpec
from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import catalog, fashion_mnist
from training.data import download as downloads
from training.data.dataset import DataRequest, DataSet
from training.errors import DataError, SourceError

FILES = helpers.fashion_files()
PACKED = helpers.packed(FILES)
SPEC = PixelSpec(height=28, width=28, channels=1)
KERAS = "Keras's download"
INSTALLED = "Debian's package dataset-fashion-mnist, installed"
FETCHED = "Debian's package dataset-fashion-mnist, fetched with apt-get"


class Sources:
    """The sources as the tests arrange them; at first none has the data."""

    def __init__(self, tmp_path: Path, web: Web, patch: pytest.MonkeyPatch) -> None:
        self.web, self.patch = web, patch
        self.cache = tmp_path / "cache"
        self.programs = tmp_path / "bin"
        self.programs.mkdir()
        self.package = tmp_path / "package"
        self.said: list[str] = []
        patch.setattr(
            fashion_mnist, "_FILES", {name: helpers.sha256(data) for name, data in FILES.items()}
        )
        patch.setattr(fashion_mnist, "_KERAS", f"{web.url}/keras")
        patch.setenv("PATH", str(self.programs))

    def online(self, **changed: bytes) -> None:
        for name, data in PACKED.items():
            self.web.routes[f"/keras/{name}"] = sends(changed.get(name.split("-")[0], data))

    def install(self) -> None:
        """As if the Debian package were installed."""
        self.package.mkdir()
        for name, data in PACKED.items():
            (self.package / name).write_bytes(data)
        self.patch.setattr(fashion_mnist, "_DEBIAN_FOLDER", self.package)

    def debian(self, *, lists: bool) -> Path:
        """Programs that play apt-get (with package lists of its own or not) and dpkg-deb."""
        self.package.mkdir()
        for name, data in PACKED.items():
            (self.package / name).write_bytes(data)
        log = self.programs / "log"
        refuses = 'case "$*" in *State::Lists*) ;; *) echo "E: no lists" >&2; exit 100 ;; esac'
        needs = "" if lists else refuses
        self._program(
            "apt-get",
            f"""
            echo "apt-get $*" >> {log}
            case "$*" in
                *update) ;;
                *) {needs}
                   echo deb > dataset-fashion-mnist_1_all.deb ;;
            esac""",
        )
        folder = "usr/share/datasets/fashion-mnist"
        self._program(
            "dpkg-deb",
            f"""
            echo "dpkg-deb $1" >> {log}
            /bin/mkdir -p "$3/{folder}"
            /bin/cp {self.package}/* "$3/{folder}" """,
        )
        return log

    def _program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def load(self, spec: PixelSpec = SPEC) -> DataSet:
        self.said.clear()
        request = DataRequest(name="fashion-mnist", spec=spec, cache=self.cache)
        return catalog.load(request, self.said.append)


@pytest.fixture
def sources(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    return Sources(tmp_path, web, monkeypatch)


def test_the_known_checksums_are_of_the_four_files() -> None:
    known = fashion_mnist._FILES
    assert set(known) == set(FILES)
    assert {len(digest) for digest in known.values()} == {64}
    assert len(set(known.values())) == 4


def test_the_download_is_the_first_source(sources: Sources) -> None:
    sources.online()
    data = sources.load()
    assert data.source == KERAS
    assert sources.said == [f"fashion-mnist: from {KERAS}"]
    assert (data.name, data.own_test, data.labels[9]) == ("fashion-mnist", 20, "Ankle boot")
    assert data.inputs.shape == (50, 28, 28, 1)
    pixels = [FILES[f"{name}-images-idx3-ubyte"][16:] for name in ("train", "t10k")]
    assert data.inputs.tobytes() == b"".join(pixels)
    assert data.targets.tolist() == [n % 10 for n in range(30)] + [n % 10 for n in range(20)]


def test_the_cache_is_used_next_time(sources: Sources) -> None:
    sources.online()
    first = sources.load()
    asked = len(sources.web.requests)
    assert sorted(path.name for path in sources.cache.iterdir()) == ["decoded", "fashion-mnist"]
    second = sources.load()
    assert len(sources.web.requests) == asked
    assert second.source == "cache"
    assert "from the cache" in sources.said[0]
    assert second.fingerprint() == first.fingerprint()


@pytest.mark.parametrize("harm", ["change", "cut", "remove"])
def test_a_broken_cache_is_fetched_again(sources: Sources, harm: str) -> None:
    sources.online()
    first = sources.load()
    file = sources.cache / "fashion-mnist" / "t10k-labels-idx1-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(content if harm == "change" else content[:-3])
    again = sources.load()
    assert again.source == KERAS
    assert again.fingerprint() == first.fingerprint()


BROKEN = {
    "wrong content": (gzip.compress(b"other data"), "wrong checksum"),
    "not packed": (b"<html>log in first</html>", "broken"),
    "nothing": (b"", "wrong checksum"),
    "cut": (PACKED["train-images-idx3-ubyte.gz"][:-20], "broken"),
    "no deflate": (gzip.compress(b"")[:10] + b"\xff" * 100, "broken"),
    "wrong tail": (PACKED["train-images-idx3-ubyte.gz"][:-1] + b"\xff", "broken"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_download_falls_through(sources: Sources, case: str) -> None:
    content, text = BROKEN[case]
    sources.online(train=content)
    sources.install()
    assert sources.load().source == INSTALLED
    assert re.search(text, sources.said[0])


def test_a_download_that_ends_early_falls_through(sources: Sources) -> None:
    sources.online()
    name = "t10k-images-idx3-ubyte.gz"
    sources.web.routes[f"/keras/{name}"] = sends(PACKED[name][:50], length=len(PACKED[name]))
    sources.install()
    assert sources.load().source == INSTALLED
    assert "more expected" in sources.said[0]


def test_a_missing_download_falls_through(sources: Sources) -> None:
    sources.install()
    assert sources.load().source == INSTALLED
    assert "Not Found" in sources.said[0]


def test_a_refused_connection_falls_through(sources: Sources) -> None:
    sources.patch.setattr(fashion_mnist, "_KERAS", helpers.closed_port())
    sources.install()
    assert sources.load().source == INSTALLED
    assert "refused" in sources.said[0]


def test_a_server_that_hangs_falls_through(sources: Sources) -> None:
    sources.patch.setattr(downloads, "TIMEOUT_SECONDS", 0.2)
    sources.install()
    with helpers.silent_server() as url:
        sources.patch.setattr(fashion_mnist, "_KERAS", url)
        assert sources.load().source == INSTALLED
    assert "timed out" in sources.said[0]


@pytest.mark.parametrize("lists", [True, False])
def test_the_package_is_fetched_without_being_installed(sources: Sources, lists: bool) -> None:
    log = sources.debian(lists=lists)
    data = sources.load()
    assert data.source == FETCHED
    assert len(data.inputs) == 50
    calls = [line.split()[0] + " " + line.split()[-1] for line in log.read_text().splitlines()]
    fetch, update = "apt-get dataset-fashion-mnist", "apt-get update"
    assert calls == ([fetch] if lists else [fetch, update, fetch]) + ["dpkg-deb -x"]


def test_no_source_is_an_error_that_lists_them_all(sources: Sources) -> None:
    with pytest.raises(SourceError) as caught:
        sources.load()
    text = str(caught.value)
    for name, reason in ((KERAS, "Not Found"), (INSTALLED, "not there"), (FETCHED, "no Debian")):
        assert any(line.startswith(name) and reason in line for line in text.splitlines())
    assert "--data" in text
    assert "digits-cnn" in text
    assert isinstance(caught.value, DataError)
    assert not list(sources.cache.iterdir())


def test_apt_that_fails_says_why(sources: Sources) -> None:
    sources.debian(lists=True)
    sources._program("apt-get", "echo 'W: slow' >&2; echo 'E: no network' >&2; exit 100")
    with pytest.raises(SourceError, match="apt-get: E: no network"):
        sources.load()


def test_apt_that_hangs_is_given_up(sources: Sources) -> None:
    sources.debian(lists=True)
    sources._program("apt-get", "exec /bin/sleep 60")
    sources.patch.setattr(fashion_mnist, "_APT_SECONDS", 0.2)
    with pytest.raises(SourceError, match=r"apt-get took longer than 0\.2 s"):
        sources.load()


def test_other_pixels_are_made_by_the_contract(sources: Sources) -> None:
    sources.online()
    data = sources.load(PixelSpec(height=14, width=20, channels=3))
    assert data.inputs.shape == (50, 14, 20, 3)
    assert data.inputs.dtype == np.uint8
