"""A folder with bad files, chosen classes or a split of its own, on a disk that may be full."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from contract.pixels import PixelSpec, decode
from tests.training.data.conftest import SPEC, Loader
from tests.training.helpers import class_folders
from training.data import cache, decoded
from training.errors import DataError

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def spoil(root: Path) -> None:
    """Two classes of three pictures, of which one each is bad."""
    class_folders(root, {"red": 3, "blue": 3})
    (root / "red" / "001.png").write_bytes(b"")
    (root / "blue" / "002.png").unlink()
    (root / "blue" / "002.jpg").write_text("a text")


def test_bad_files_are_left_out_where_that_is_asked_for(root: Path, load: Loader) -> None:
    spoil(root)
    data = load(root, skip_bad=True)
    assert data.targets.tolist() == [0, 0, 1, 1]
    assert [file.name for file in data.files or ()] == ["000.png", "001.png", "000.png", "002.png"]
    for file, image in zip(data.files or (), data.inputs, strict=True):
        np.testing.assert_array_equal(image, decode(file, SPEC))
    assert [line.split(": ")[0] for line in data.skipped] == [
        str(root / "blue" / "002.jpg"),
        str(root / "red" / "001.png"),
    ]
    assert "an empty file" in data.skipped[1]
    assert load.said[-1].startswith("2 files that can't be used are left out, the first is ")


def test_the_cache_remembers_what_was_left_out(root: Path, load: Loader) -> None:
    spoil(root)
    first = load(root, skip_bad=True)
    again = load(root, skip_bad=True)
    assert load.decoded == []
    assert again.skipped == first.skipped
    assert again.fingerprint() == first.fingerprint()
    with pytest.raises(DataError, match=r"(?s)red/001.png.*--skip-bad"):
        load(root)


def test_a_class_of_nothing_but_bad_files_is_named(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 2, "blue": 2})
    for file in (root / "red").iterdir():
        file.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DataError, match=f"{root}/red: none of the class's pictures"):
            load(root, skip_bad=True)


def test_bad_files_whose_names_are_no_utf8_are_left_out_too(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    (root / "red" / f"{NOT_UTF8}.png").write_bytes(b"")
    for _ in range(2):
        assert "caf\\xe9.png: " in load(root, skip_bad=True).skipped[0]


def test_only_the_chosen_classes_are_decoded(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 2, "blue": 3, "green": 4})
    data = load(root, classes=("red", "blue"))
    assert data.labels == ("blue", "red")
    assert data.targets.tolist() == [0, 0, 0, 1, 1]
    assert len(load.decoded) == 5
    assert len(load(root).targets) == 9


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        (("red", "pink", "grey"), "no class 'pink', 'grey'; there are blue, green, red"),
        (("red",), "only the class 'red' was chosen; at least 2 are needed"),
        (("red", "red"), "only the class 'red' was chosen"),
    ],
)
def test_classes_that_cant_be_chosen(
    root: Path, load: Loader, classes: tuple[str, ...], text: str
) -> None:
    class_folders(root, {"red": 2, "blue": 3, "green": 4})
    with pytest.raises(DataError, match=text):
        load(root, classes=classes)


COUNTS = {"red": 3, "blue": 2}


@pytest.mark.parametrize(
    ("folders", "own"),
    [
        (("train", "validation", "test"), (5, 5)),
        (("training", "val"), (5, 0)),
        (("Train", "Test"), (0, 5)),
    ],
)
def test_a_folder_may_have_a_split_of_its_own(
    root: Path, load: Loader, folders: tuple[str, ...], own: tuple[int, int]
) -> None:
    for folder_name in reversed(folders):
        class_folders(root / folder_name, COUNTS)
    (root / "README.txt").write_text("no class")
    for _ in range(2):
        data = load(root)
        assert (data.name, data.labels) == ("photos", ("blue", "red"))
        assert data.targets.tolist() == [0, 0, 1, 1, 1] * len(folders)
        assert (data.own_validation, data.own_test) == own
        found = [file.parent.parent.name for file in data.files or ()]
        assert found == [name for name in folders for _ in range(5)]
    assert load.decoded == []


def test_a_split_of_its_own_without_its_bad_files(root: Path, load: Loader) -> None:
    for part in ("train", "validation", "test"):
        class_folders(root / part, COUNTS)
        (root / part / "red" / "000.png").write_bytes(b"")
    data = load(root, skip_bad=True)
    assert (len(data.targets), data.own_validation, data.own_test) == (12, 4, 4)
    assert len(data.skipped) == 3


SPLITS = {
    "other classes": (("train/a", "train/b", "test/a", "test/c"), "different classes: b, c only"),
    "fewer classes": (("train/a", "train/b", "val/a"), "{root}/val: has a single class, 'a'"),
    "no train": (("val/a", "val/b", "test/a", "test/b"), "{root}: has no folder train beside test"),
    "two trains": (("train/a", "train/b", "training/a", "training/b"), "the same part"),
    "more": (("train/a", "train/b", "test/a", "test/b", "raw/c"), "its own split, but also raw"),
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_split_that_does_not_fit_together_is_named(root: Path, load: Loader, case: str) -> None:
    folders, text = SPLITS[case]
    for name in folders:
        class_folders(root, {name: 1})
    with pytest.raises(DataError) as caught:
        load(root)
    assert text.format(root=root) in str(caught.value)


def test_train_may_be_a_class(root: Path, load: Loader) -> None:
    class_folders(root, {"train": 1, "car": 1})
    assert load(root).labels == ("car", "train")


def test_a_model_of_any_size_gets_256_pixels(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    data = load(root, PixelSpec(height=None, width=None, channels=3))
    assert data.inputs.shape == (2, 256, 256, 3)


def test_pictures_that_fit_on_no_disk_are_refused_before_they_are_decoded(
    root: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders(root, {"red": 2, "blue": 1})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"3 pictures of 12×10×3 .*1.1 kB .*1.0 kB free"):
        load(root)
    assert load.decoded == []
    assert not load.cache.exists()


def test_a_disk_that_gets_full_leaves_no_half_cache(
    root: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders(root, {"red": 2, "blue": 2})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(decoded, "_ahead", full)
    with pytest.raises(DataError, match=r"can't be kept in .*No space left"):
        load(root)
    assert load.cached == []


def test_a_cache_that_cant_be_written_is_an_error(root: Path, load: Loader) -> None:
    class_folders(root, {"red": 1, "blue": 1})
    load.cache.write_text("a file")
    with pytest.raises(DataError, match="can't be kept in"):
        load(root)


def test_few_pictures_wait_in_memory() -> None:
    started: list[int] = []

    def make(number: int) -> np.ndarray:
        started.append(number)
        return np.zeros((1, 2, 2, 1), np.uint8)

    with ThreadPoolExecutor(2) as pool:
        results = decoded._ahead(pool, make, range(1000))
        next(results)
        assert len(started) < 50
        results.close()
