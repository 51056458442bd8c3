"""Sources: what they find, under which names, in which order."""

import gzip
import io
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from client.scoring.contents import RemoteFile, StorageAwayError, UnreadableError
from client.scoring.errors import SourceError
from client.scoring.sources import can_be_counted, check, inputs


def fill(folder: Path, *names: str) -> Path:
    """Writes files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return folder


def read(*sources: object, column: str = "path") -> list[tuple[str, bytes | str]]:
    """The name of each input, and its content or its error."""
    found = []
    for one in inputs([str(source) for source in sources], column):
        content = one.content() if callable(one.content) else one.content
        try:
            found.append((one.name, content.read()))
        except UnreadableError as error:
            found.append((one.name, str(error)))
    return found


def names(*sources: object, column: str = "path") -> list[str]:
    return [name for name, _ in read(*sources, column=column)]


def tar(path: Path, contents: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_folder_is_read_in_path_order(tmp_path: Path) -> None:
    fill(
        tmp_path, "b/1.png", "b.png", "a.JPG", "b/c/2.webp", "notes.txt", ".hidden.png", ".d/x.png"
    )
    expected = ["a.JPG", "b/1.png", "b/c/2.webp", "b.png"]
    assert read(tmp_path) == [(str(tmp_path / name), name.encode()) for name in expected]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    fill(tmp_path / "in", "a.png", "sub/b.png")
    fill(tmp_path / "other", "c.png")
    (tmp_path / "in/sub/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/there").symlink_to(tmp_path / "other")
    (tmp_path / "in/self.png").symlink_to("self.png")
    (tmp_path / "in/gone.png").symlink_to("nothing")
    found = {Path(name).name: content for name, content in read(tmp_path / "in")}
    assert found["a.png"] == b"a.png"
    assert found["c.png"] == b"c.png"
    assert "No such file" in str(found["gone.png"])
    assert "Too many levels" in str(found["self.png"])
    assert len(found) == 5


def test_odd_names_and_odd_files_are_inputs(tmp_path: Path) -> None:
    fill(tmp_path, b"\xff.png".decode("utf-8", "surrogateescape"), "new\nline.png", "d.png/e.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = {name.removeprefix(f"{tmp_path}/"): content for name, content in read(tmp_path)}
    assert found.keys() == {"\\xff.png", "new\nline.png", "d.png/e.png", "pipe.png"}
    assert found["pipe.png"] == "Not a regular file"


def test_a_folder_that_can_not_be_listed_is_an_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a.png", "closed/b.png", "z.png")
    scandir = os.scandir

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = read(tmp_path)
    assert [Path(name).name for name, _ in found] == ["a.png", "closed", "z.png"]
    assert found[1][1] == "the folder can't be listed: Permission denied"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png"]),
        ("*/*.png", ["x/b.png", "y/b.png"]),
        ("**/*.png", ["a.png", "x/b.png", "x/z/c.png", "y/b.png"]),
        ("x/**", ["x/b.png", "x/z/c.png"]),
        ("[xy]/?.png", ["x/b.png", "y/b.png"]),
        ("*.tif", []),
    ],
)
def test_globs(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    fill(tmp_path, "a.png", "x/b.png", "x/z/c.png", "y/b.png", "notes.txt", ".h/d.png")
    assert names(tmp_path / pattern) == [str(tmp_path / name) for name in expected]


def test_globs_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.png", "x/b.png", "[1].png")
    monkeypatch.chdir(tmp_path)
    assert names("*.png") == ["[1].png", "a.png"]
    assert names("x/*") == ["x/b.png"]
    assert names("[1].png") == ["[1].png"]


def test_a_text_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a b.png", "c.png")
    (tmp_path / "list.txt").write_bytes(b"c.png\r\n\na b.png\nnothing.png\n\xff.png\na\0b")
    monkeypatch.chdir(tmp_path)
    found = read("list.txt")
    assert found[:2] == [("c.png", b"c.png"), ("a b.png", b"a b.png")]
    assert [name for name, _ in found[2:]] == ["nothing.png", "\\xff.png", "a\0b"]
    assert all(isinstance(content, str) for _, content in found[2:])


def test_tables(tmp_path: Path) -> None:
    path = str(fill(tmp_path, "a.png") / "a.png")
    (tmp_path / "t.csv").write_text(f'\ufeffid,file\n1,"{path}"\n\n2\n', encoding="utf-8")
    assert read(tmp_path / "t.csv", column="file") == [(path, b"a.png"), ("", "no path")]
    (tmp_path / "t.tsv").write_text(f"id\tpath\n1\t{path}\n")
    assert names(tmp_path / "t.tsv") == [path]
    pq.write_table(pa.table({"path": [path, None], "id": [1, 2]}), tmp_path / "t.parquet")
    table = tmp_path / "t.parquet"
    assert read(table) == [(path, b"a.png"), (f"{table}#1", "neither a path nor a picture")]
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(SourceError, match="no column 'nobody'"):
            names(tmp_path / name, column="nobody")


def test_pictures_in_a_table(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    images = [{"bytes": b"one", "path": "1.png"}, {"bytes": b"two", "path": None}]
    pq.write_table(pa.table({"image": images, "raw": [b"1", b"2"]}), table)
    assert read(table, column="image") == [(f"{table}#0", b"one"), (f"{table}#1", b"two")]
    assert read(table, column="raw") == [(f"{table}#0", b"1"), (f"{table}#1", b"2")]


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".txz", "w:xz")])
def test_archives(tmp_path: Path, suffix: str, mode: str) -> None:
    contents = {"b/1.jpg": b"one", "b/1.cls": b"7", "a/2.png": b"two", "b/1.jpeg": b"three"}
    path = tar(tmp_path / f"shard{suffix}", contents, mode)
    expected = [("b/1.jpg", b"one"), ("a/2.png", b"two"), ("b/1.jpeg", b"three")]
    assert read(path) == [(f"{path}/{name}", content) for name, content in expected]


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".tar", "w"), (".TGZ", "w:gz"), (".tar.bz2", "w:bz2"), (".tar.xz", "w:xz")],
)
@pytest.mark.parametrize("cut", [1, 700, 20_000, 30_720, 30_719, 40_000])
def test_a_broken_archive_gives_what_it_has(
    tmp_path: Path, suffix: str, mode: str, cut: int
) -> None:
    contents = {f"{n}.png": random.Random(n).randbytes(3072 - 512) for n in range(20)}
    path = tar(tmp_path / f"shard{suffix}", contents, mode)
    whole = path.read_bytes()
    assert len(read(path)) == 20
    # A plain archive ends with zeros, of which one block is enough.
    path.write_bytes(whole[: cut if mode != "w" or cut > 1 else 3072 * 10])
    found = read(path)
    good = [content for _, content in found if isinstance(content, bytes)]
    assert good == list(contents.values())[: len(good)]
    assert len(good) < 20
    assert len(found) > len(good)
    assert all("archive" in str(content) for _, content in found[len(good) :])


def test_a_broken_head_within_an_archive(tmp_path: Path) -> None:
    for suffix, opened in ((".tar", Path.open), (".tar.gz", gzip.open)):
        path = tar(tmp_path / "plain.tar", {f"{n}.png": bytes(1) for n in range(9)})
        data = bytearray(path.read_bytes())
        data[5 * 1024 + 150] ^= 1
        with opened(tmp_path / f"broken{suffix}", "wb") as file:
            file.write(data)
        found = read(tmp_path / f"broken{suffix}")
        assert len(found) == 6
        assert "the archive is broken from here on" in str(found[-1][1])


def test_no_archive_and_no_table(tmp_path: Path) -> None:
    for name in ("a.tar", "a.tgz", "a.tar.bz2", "a.txz"):
        (tmp_path / name).write_bytes(b"no archive" * 1000)
        ((_, error),) = read(tmp_path / name)
        assert "the archive is broken" in str(error)
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(SourceError, match=r"a\.parquet"):
        read(tmp_path / "a.parquet")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    storage = fsspec.filesystem("memory")
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


def test_remote_folders_globs_and_files(memory: fsspec.AbstractFileSystem) -> None:
    for name in ("b/2.png", "a/1.png", "a/x/3.png", "a/notes.txt", "c.png"):
        memory.pipe(f"/bucket/{name}", name.encode())
    expected = ["a/1.png", "a/x/3.png", "b/2.png", "c.png"]
    assert read("memory://bucket") == [(f"memory:///bucket/{n}", n.encode()) for n in expected]
    assert names("memory://bucket/*/*.png") == [
        f"memory:///bucket/{n}" for n in ("a/1.png", "b/2.png")
    ]
    assert read("memory://bucket/c.png") == [("memory://bucket/c.png", b"c.png")]


def test_remote_lists_and_archives(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe("/in/1.png", b"one")
    memory.pipe("/in/list.txt", b"memory://in/1.png\nmemory://in/2.png\n")
    first, second = read("memory://in/list.txt")
    assert first == ("memory://in/1.png", b"one")
    assert isinstance(second[1], str)
    for name, mode in (("s.tar", "w"), ("s.tgz", "w:gz")):
        archive = tar(tmp_path / name, {"a/1.png": b"one", "2.png": b"two"}, mode)
        memory.pipe(f"/in/{name}", archive.read_bytes())
        url = f"memory://in/{name}"
        assert read(url) == [(f"{url}/a/1.png", b"one"), (f"{url}/2.png", b"two")]


def test_a_remote_archive_that_breaks_off_is_opened_again(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {f"{n}.png": os.urandom(20_000) for n in range(20)}
    memory.pipe("/in/s.tar", tar(tmp_path / "s.tar", contents).read_bytes())
    data, opened = (tmp_path / "s.tar").read_bytes(), []

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 150_000 * len(opened):
                raise ConnectionError("the network broke")
            return super().read(size)

    def open_file(_: str) -> Breaking:
        opened.append(Breaking(data))
        return opened[-1]

    monkeypatch.setattr("client.scoring.sources.choose.remote.open_file", open_file)
    assert [content for _, content in read("memory://in/s.tar")] == list(contents.values())
    assert len(opened) == 3


def test_a_remote_file_tells_gone_from_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableError):
        RemoteFile("memory://nowhere/1.png").read()
    monkeypatch.setattr(fsspec, "open", lambda *_: (_ for _ in ()).throw(TimeoutError("slow")))
    with pytest.raises(StorageAwayError, match="slow"):
        RemoteFile("memory://in/1.png").read()


class Breaking(io.BytesIO):
    """A list behind a network that goes away."""

    def __next__(self) -> bytes:
        raise TimeoutError("the network is away")


def test_a_remote_list_that_breaks_off_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.scoring.sources.choose.remote.open_file", lambda _: Breaking())
    with pytest.raises(SourceError, match="the network is away"):
        list(inputs(["memory://list.txt"], "path"))


def test_a_storage_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.open", refuse)
    with pytest.raises(SourceError, match="not yours"):
        list(inputs(["memory://list.csv"], "path"))


def test_what_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing"):
        check([str(tmp_path / "nothing")])
    check([str(tmp_path), "memory://anywhere", "*.png"])
    with pytest.raises(SourceError):
        names("nonsense://bucket/a.png")


def test_what_can_be_counted() -> None:
    assert can_be_counted(["folder", "list.txt", "*.png"])
    assert not can_be_counted(["folder", "a.tar"])
    assert not can_be_counted(["s3://bucket"])
