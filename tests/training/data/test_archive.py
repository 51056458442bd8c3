"""Data sets that are archives of class folders: fetched, unpacked, read."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.pixels import PixelSpec
from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import archive, cache, catalog
from training.data.archive import unpack
from training.data.dataset import DataRequest, DataSet
from training.data.sources import SOURCES, Source
from training.errors import DataError, SourceError

SPEC = PixelSpec(height=9, width=9, channels=3)


def tgz(folder: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, name)
    return buffer.getvalue()


def zipped(folder: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, Path(name) / path.relative_to(folder))
    return buffer.getvalue()


class Offer:
    """Puts archives on the local web server as if they were a data set's own."""

    def __init__(self, root: Path, web: Web, patch: pytest.MonkeyPatch) -> None:
        self.root, self.web, self.patch = root, web, patch
        self.said: list[str] = []
        self.cache = root / "cache"

    def put(self, name: str, *contents: bytes) -> Source:
        source = SOURCES[name]
        files = []
        for file, content in zip(source.files, contents, strict=True):
            self.web.routes[f"/{file.name}"] = sends(content, ranges=True)
            url = f"{self.web.url}/{file.name}"
            files.append(replace(file, url=url, sha256=helpers.sha256(content), size=len(content)))
        self.patch.setitem(SOURCES, name, replace(source, files=tuple(files)))
        return SOURCES[name]

    def load(self, name: str) -> DataSet:
        self.said.clear()
        request = DataRequest(name=name, spec=SPEC, cache=self.cache)
        return catalog.load(request, self.said.append)


@pytest.fixture
def offer(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> Offer:
    return Offer(tmp_path, web, monkeypatch)


@pytest.fixture
def flowers(offer: Offer) -> bytes:
    counts = {"daisy": 3, "dandelion": 1, "roses": 1, "sunflowers": 1, "tulips": 2}
    photos = helpers.class_folders(offer.root / "made", counts, ".jpg")
    (photos / "LICENSE.txt").write_text("CC BY")
    content = tgz(photos, "flower_photos")
    offer.put("flowers", content)
    return content


def test_the_archive_is_fetched_once(offer: Offer, flowers: bytes) -> None:
    data = offer.load("flowers")
    assert (data.name, data.labels) == ("flowers", SOURCES["flowers"].classes)
    assert data.targets.tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    assert offer.said == [f"flowers: from {offer.web.url}/flower_photos.tgz"]
    again = offer.load("flowers")
    assert again.fingerprint() == data.fingerprint()
    assert "from the cache" in offer.said[0]
    assert offer.web.paths == ["/flower_photos.tgz"]
    assert sorted(path.name for path in offer.cache.iterdir()) == ["decoded", "flowers"]


def test_what_was_fetched_before_a_kill_is_kept(offer: Offer, flowers: bytes) -> None:
    offer.cache.mkdir()
    (offer.cache / "flower_photos.tgz.part").write_bytes(flowers[:500])
    assert len(offer.load("flowers").targets) == 8
    assert offer.web.requests == [("/flower_photos.tgz", "bytes=500-")]


@pytest.mark.parametrize(
    ("content", "text"), [(None, "Not Found"), (b"something else", "wrong checksum")]
)
@pytest.mark.parametrize("name", ["flowers", "cats-vs-dogs", "cifar10", "mnist"])
def test_without_the_archive_the_error_says_what_to_do(
    offer: Offer, name: str, content: bytes | None, text: str
) -> None:
    source = offer.put(name, b"content")
    path = f"/{source.files[0].name}"
    del offer.web.routes[path]
    if content is not None:
        offer.web.routes[path] = sends(content)
    with pytest.raises(SourceError, match=f"(?s){name} can't be had.*{text}.*--data DIR") as caught:
        offer.load(name)
    assert isinstance(caught.value, DataError)
    assert not [path for path in offer.cache.rglob("*") if path.is_file()]


def test_files_that_are_known_to_be_no_pictures_are_left_out(offer: Offer) -> None:
    pets = helpers.class_folders(offer.root / "pets", {"Cat": 3, "Dog": 2}, ".jpg")
    (pets / "Cat" / "666.jpg").write_bytes(b"")
    (pets / "Cat" / "Thumbs.db").write_bytes(b"x")
    offer.put("cats-vs-dogs", zipped(pets, "PetImages"))
    for _ in range(2):
        data = offer.load("cats-vs-dogs")
        assert data.labels == ("Cat", "Dog")
        assert data.targets.tolist() == [0, 0, 0, 1, 1]
        assert [line.split(": ")[0].rpartition("/")[2] for line in data.skipped] == ["666.jpg"]


def test_an_archive_for_each_part(offer: Offer) -> None:
    counts = {"horses": 2, "humans": 3}
    train = helpers.class_folders(offer.root / "train", {**counts, "__MACOSX": 1})
    validation = helpers.class_folders(offer.root / "validation", counts)
    offer.put("horses-or-humans", zipped(train, ""), zipped(validation, ""))
    data = offer.load("horses-or-humans")
    assert data.labels == ("horses", "humans")
    assert data.targets.tolist() == [0, 0, 1, 1, 1] * 2
    assert (data.own_validation, data.own_test) == (5, 0)


def test_an_archive_with_the_test_set(offer: Offer) -> None:
    hands = helpers.class_folders(offer.root / "hands", {"rock": 1, "paper": 2, "scissors": 1})
    offer.put("rock-paper-scissors", zipped(hands, "rps"), zipped(hands, "rps-test-set"))
    data = offer.load("rock-paper-scissors")
    assert data.labels == ("paper", "rock", "scissors")
    assert (len(data.targets), data.own_test) == (8, 4)


def make_tar(path: Path, *members: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))


def tar_entry(name: str, **attributes: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    return entry


def make_zip(path: Path, name: str, mode: int = 0, content: bytes = b"x") -> None:
    entry = zipfile.ZipInfo()
    entry.filename = name
    entry.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(entry, content)


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "tar above": (lambda p: make_tar(p, tar_entry("a/../../b", size=1)), "outside the folder"),
    "tar root": (lambda p: make_tar(p, tar_entry("/b", size=1)), "outside the folder"),
    "tar drive": (lambda p: make_tar(p, tar_entry("C:\\b", size=1)), "outside the folder"),
    "tar link": (
        lambda p: make_tar(p, tar_entry("b", type=tarfile.SYMTYPE, linkname="/etc")),
        "neither a file nor a folder",
    ),
    "tar hard link": (
        lambda p: make_tar(p, tar_entry("b", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
        "neither a file nor a folder",
    ),
    "tar device": (
        lambda p: make_tar(p, tar_entry("b", type=tarfile.CHRTYPE)),
        "neither a file nor a folder",
    ),
    "zip above": (lambda p: make_zip(p, "a/../../b"), "outside the folder"),
    "zip backslash": (lambda p: make_zip(p, "..\\b"), "outside the folder"),
    "zip root": (lambda p: make_zip(p, "/b"), "outside the folder"),
    "zip link": (lambda p: make_zip(p, "b", stat.S_IFLNK | 0o777), "neither a file nor a folder"),
    "no archive": (lambda p: p.write_bytes(b"text" * 1000) and None, "broken"),
    "empty": (lambda p: p.write_bytes(b"") and None, "broken"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_archives_that_do_harm_are_refused(tmp_path: Path, case: str) -> None:
    make, text = HOSTILE[case]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "archive"
    make(path)
    with pytest.raises(SourceError, match=f"archive.*{text}"):
        unpack(path, tmp_path / "out" / "target")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(archive, "_ALWAYS_ALLOWED", 1000)
    path = tmp_path / "bomb"
    if kind == "tar":
        make_tar(path, *(tar_entry(str(number), size=100_000) for number in range(100)))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a", bytes(10_000_000))
    with pytest.raises(SourceError, match="bomb would unpack to more than"):
        unpack(path, tmp_path / "out" / "target")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [tgz, zipped])
def test_a_cut_archive_leaves_nothing(tmp_path: Path, pack: Callable[[Path, str], bytes]) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "noise").write_bytes(os.urandom(100_000))
    path = tmp_path / "archive"
    path.write_bytes(pack(made, "x")[:50_000])
    with pytest.raises(SourceError, match="archive is broken"):
        unpack(path, tmp_path / "out" / "target")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [tgz, zipped])
def test_what_was_packed_is_unpacked(tmp_path: Path, pack: Callable[[Path, str], bytes]) -> None:
    made = helpers.class_folders(tmp_path / "made", {"a": 2, "b": 1})
    path = tmp_path / "archive"
    path.write_bytes(pack(made, "x"))
    unpack(path, tmp_path / "target")
    for file in made.rglob("*.png"):
        copy = tmp_path / "target" / "x" / file.relative_to(made)
        assert copy.read_bytes() == file.read_bytes()


def test_a_disk_without_room_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "archive"
    path.write_bytes(zipped(helpers.class_folders(tmp_path / "made", {"a": 2}), "x"))
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(SourceError, match=r"archive: needs .* kB .* 10 bytes free"):
        unpack(path, tmp_path / "target")
