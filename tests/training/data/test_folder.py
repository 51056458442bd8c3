"""A folder of class folders as a data set, and its cache of decoded pictures."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.pixels import PixelSpec, decode
from tests.training.data.conftest import SPEC, Loader
from tests.training.helpers import class_folders, picture
from training.data.dataset import DataSet
from training.errors import DataError

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def test_labels_are_the_folders_names_in_alphabetical_order(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 2, "Zebra": 1, "blue": 3, "ñandú": 1, "10": 1, "9": 1})
    (root / "notes.txt").write_text("no class")
    (root / ".git").mkdir()
    data = load(root)
    assert data.labels == ("10", "9", "Zebra", "blue", "red", "ñandú")
    assert data.targets.tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 5]
    assert data.files is not None
    assert [file.parent.name for file in data.files] == [data.labels[n] for n in data.targets]
    assert (data.name, data.source, data.own_test) == ("photos", f"folder {root.name}", 0)


def test_pictures_are_made_exactly_as_the_contract_makes_them(root: Path, load: Loader) -> None:
    class_folders(root, {"jpeg": 2}, ".JPG")
    class_folders(root, {"webp": 1}, ".webp")
    turned = picture(5)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(root / "jpeg" / "turned.jpeg", exif=exif)
    clear = picture(6).convert("RGBA")
    clear.putalpha(100)
    clear.save(root / "webp" / "clear.png")
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(
        root / "webp" / "deep.png"
    )
    for spec in (SPEC, PixelSpec(height=5, width=7, channels=1)):
        data = load(root, spec)
        assert data.inputs.shape == (6, spec.height, spec.width, spec.channels)
        assert data.inputs.dtype == np.uint8
        for file, image in zip(data.files or (), data.inputs, strict=True):
            np.testing.assert_array_equal(image, decode(file, spec))
    assert len(load.cached) == 2


def empty(root: Path) -> None:
    root.mkdir()


def class_folder(root: Path) -> None:
    class_folders(root.parent, {root.name: 2})


def single(root: Path) -> None:
    class_folders(root, {"red": 2})


def empty_class(root: Path) -> None:
    class_folders(root, {"red": 2, "blue": 0})


def class_of_texts(root: Path) -> None:
    class_folders(root, {"red": 2, "blue": 0})
    (root / "blue" / "notes.txt").write_text("no picture")
    (root / "blue" / ".hidden.png").write_bytes(b"")


def a_file(root: Path) -> None:
    root.write_text("no folder")


def nothing(root: Path) -> None:
    pass


def not_utf8_class(root: Path) -> None:
    class_folders(root, {"red": 2, NOT_UTF8: 2})


UNUSABLE = {
    nothing: "{root}: no such folder",
    a_file: "{root}: no such folder",
    empty: "{root}: has no sub-folders; one per class is needed",
    class_folder: "{root}: holds pictures, not class folders; give the folder above it",
    single: "{root}: has a single class, 'red'; at least 2 are needed",
    empty_class: "{root}/blue: the class folder has no pictures",
    class_of_texts: "{root}/blue: the class folder has no pictures",
    not_utf8_class: "{root}/caf\\xe9: the name of a class has to be UTF-8",
}


@pytest.mark.parametrize("make", UNUSABLE, ids=lambda make: make.__name__)
def test_a_folder_that_is_no_data_set_is_named(
    root: Path, load: Loader, make: Callable[[Path], None]
) -> None:
    make(root)
    with pytest.raises(DataError) as caught:
        load(root)
    assert UNUSABLE[make].format(root=root) in str(caught.value)
    assert not (load.cache / "decoded").exists()


def test_every_picture_that_cant_be_read_is_named(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 8, "blue": 8})
    whole = (root / "red" / "000.png").read_bytes()
    bad = {
        "red/001.png": (b"", "an empty file"),
        "red/002.png": (b"text", "no known image format"),
        "blue/003.png": (whole[:-200], "truncated or corrupt"),
    }
    for name, (content, _) in bad.items():
        (root / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(root)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "pictures that can't be used:"
    assert last == "--skip-bad goes on without them"
    assert [line.split(": ")[0] for line in lines] == sorted(str(root / name) for name in bad)
    assert all(any(text in line for line in lines) for _, text in bad.values())
    assert load.cached == []


def test_of_many_unreadable_pictures_ten_are_named(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    for number in range(13):
        (root / "red" / f"bad{number:02}.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="and 3 more") as caught:
        load(root)
    assert len(str(caught.value).splitlines()) == 13


def test_files_that_are_no_pictures_are_left_out_and_counted(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 2, "blue": 2})
    for name in ("red/notes.txt", "blue/Thumbs.db", "blue/no_suffix"):
        (root / name).write_text("no picture")
    data = load(root)
    assert len(data.targets) == 4
    assert load.said == [f"3 files in {root} are no pictures by their suffix and are left out"]
    assert load(root).labels == ("blue", "red")
    assert "already decoded" in load.said[-1]


def test_hidden_files_and_folders_are_left_out_without_a_word(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 2, "blue": 2})
    for name in (".DS_Store", "._000.png", ".thumbnails/000.png", "a/.ipynb_checkpoints/0.png"):
        path = root / "red" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((root / "red" / "000.png").read_bytes())
    assert load(root).targets.tolist() == [0, 0, 1, 1]
    assert load.said == []


def test_a_hidden_folder_above_the_classes_hides_nothing(tmp_path: Path, load: Loader) -> None:
    assert len(load(class_folders(tmp_path / ".data" / "set", {"a": 1, "b": 2})).targets) == 3


def test_nested_folders_belong_to_their_class(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    class_folders(root / "red", {"2023": 2, "2024": 1})
    class_folders(root / "red" / "2023", {"spring": 1})
    assert load(root).targets.tolist() == [0, 1, 1, 1, 1, 1]


def test_file_names_need_not_be_utf8(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    picture(1).save(root / "red" / "plain.png")
    (root / "red" / "plain.png").rename(root / "red" / f"{NOT_UTF8}.png")
    data = load(root)
    assert data.files is not None
    assert sorted(file.name for file in data.files)[-1] == f"{NOT_UTF8}.png"
    assert "already decoded" in (load(root) and load.said[0])


def test_the_folders_own_name_need_not_be_utf8(tmp_path: Path, load: Loader) -> None:
    data = load(class_folders(tmp_path / NOT_UTF8, {"red": 1, "blue": 1}))
    assert data.name == "caf\\xe9"
    assert data.source == "folder caf\\xe9"


def test_a_relative_path_is_the_same_folder(
    root: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    load(root)
    monkeypatch.chdir(root / "red")
    data = load(Path(".."))
    assert load.decoded == []
    assert data.name == "photos"


def test_the_second_time_no_file_is_decoded(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 3, "blue": 2})
    first = load(root)
    assert len(load.decoded) == 5
    second = load(root)
    assert load.decoded == []
    assert second.fingerprint() == first.fingerprint()
    assert second.files == first.files
    assert isinstance(second.inputs, np.memmap)
    assert not second.inputs.flags.writeable


def change(root: Path) -> None:
    picture(99).save(root / "red" / "000.png")


def touch(root: Path) -> None:
    os.utime(root / "red" / "000.png", (1, 1))


def add(root: Path) -> None:
    picture(98).save(root / "red" / "new.png")


def remove(root: Path) -> None:
    (root / "red" / "000.png").unlink()


def rename(root: Path) -> None:
    (root / "red").rename(root / "orange")


@pytest.mark.parametrize("act", [change, touch, add, remove, rename], ids=lambda act: act.__name__)
def test_what_changed_is_decoded_again(
    root: Path, load: Loader, act: Callable[[Path], None]
) -> None:
    class_folders(root, {"red": 3, "blue": 2})
    load(root)
    act(root)
    data = load(root)
    assert len(load.decoded) == len(data.targets)
    for file, image in zip(data.files or (), data.inputs, strict=True):
        np.testing.assert_array_equal(image, decode(file, SPEC))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_stopped_in_the_middle_it_leaves_no_half_cache(
    root: Path, load: Loader, stop: type[BaseException]
) -> None:
    class_folders(root, {"red": 3, "blue": 2})

    def interrupt(path: Path) -> None:
        if path.parent.name == "red":
            raise stop

    load.before = interrupt
    with pytest.raises(stop):
        load(root)
    assert load.cached == []
    load.before = lambda _: None
    load(root)
    assert len(load.decoded) == 5
    assert len(load.cached) == 1


def test_two_at_once_make_the_same_cache(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 3, "blue": 2})
    both_decode = threading.Barrier(2)
    seen = threading.local()

    def meet(path: Path) -> None:
        if path.name == "000.png" and path.parent.name == "red" and not hasattr(seen, "met"):
            seen.met = True
            both_decode.wait(30)

    load.before = meet
    loaded: list[DataSet] = []
    threads = [threading.Thread(target=lambda: loaded.append(load(root))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({data.fingerprint() for data in loaded}) == 1
    assert len(loaded) == 2
    assert len(load.cached) == 1
    load.before = lambda _: None
    load(root)
    assert load.decoded == []
