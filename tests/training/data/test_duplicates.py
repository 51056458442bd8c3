"""Pictures that are twice in a data set."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.data.dataset import DataSet
from training.data.duplicates import find_duplicates
from training.data.split import Split
from training.run import Copy


def made(pixels: list[int], targets: list[int]) -> DataSet:
    return DataSet(
        name="made",
        source="made",
        labels=("a", "b"),
        inputs=np.array(pixels, np.uint8).reshape(-1, 1, 1, 1).repeat(4, 1),
        targets=np.array(targets),
    )


def parts(train: list[int], validation: list[int], test: list[int]) -> Split:
    return Split(*(np.array(part, np.int64) for part in (train, validation, test)))


def test_copies_in_two_parts_or_two_classes_are_found() -> None:
    #            train .......... validation  test
    data = made([1, 2, 3, 4, 4, 5, 6, 1, 7, 2, 9], [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1])
    found = find_duplicates(data, parts([0, 1, 2, 3, 4, 5], [6, 7], [8, 9, 10]))
    assert [[(copy.picture, copy.part, copy.label) for copy in group] for group in found] == [
        [("0", "train", "a"), ("7", "validation", "a")],
        [("1", "train", "a"), ("9", "test", "a")],
        [("3", "train", "a"), ("4", "train", "b")],
    ]


def test_copies_in_one_part_and_class_do_not_count_alone() -> None:
    data = made([1, 1, 1, 2], [0, 0, 0, 1])
    assert find_duplicates(data, parts([0, 1, 2, 3], [], [])) == ()
    assert len(find_duplicates(data, parts([0, 1, 3], [], [2]))[0]) == 3
    assert find_duplicates(data, parts([0, 3], [], [])) == ()


def test_files_are_named() -> None:
    data = replace(made([1, 1], [0, 1]), files=(Path("x/1.png"), Path("y/1.png")))
    assert find_duplicates(data, parts([0], [], [1])) == (
        (
            Copy(picture="x/1.png", part="train", label="a"),
            Copy(picture="y/1.png", part="test", label="b"),
        ),
    )


def test_numbers_have_no_duplicates() -> None:
    x = np.zeros((3, 1), np.float32)
    data = DataSet(name="line", source="made", labels=(), inputs=x, targets=x)
    assert find_duplicates(data, parts([0, 1], [], [2])) == ()


def test_sixty_thousand_pictures_are_quick(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    np.random.default_rng(1).integers(0, 256, (60_000, 28, 28, 1), np.uint8).tofile(path)
    inputs = np.memmap(path, np.uint8, "r+", shape=(60_000, 28, 28, 1))
    inputs[59_999] = inputs[3]
    data = replace(made([0], [0]), inputs=inputs, targets=np.zeros(60_000, np.int64))
    halves = Split(np.arange(30_000), np.arange(0), np.arange(30_000, 60_000))
    start = time.perf_counter()
    found = find_duplicates(data, halves)
    assert time.perf_counter() - start < 2
    assert [[copy.picture for copy in group] for group in found] == [["3", "59999"]]
