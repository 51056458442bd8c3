"""The history: what is written, what a kill leaves, and what follows from it."""

import math
from pathlib import Path

import pytest

from training.fitting import history
from training.recipes.recipe import Recipe, Stage

ROWS = [
    {"epoch": 1, "stage": 1, "accuracy": 0.5, "loss": 1.5},
    {"epoch": 2, "stage": 1, "accuracy": 0.75, "loss": 0.5},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    for row in ROWS:
        history.append(path, row)
    return path


def test_rows_come_back(path: Path) -> None:
    assert history.read(path) == ROWS
    assert path.read_text().splitlines()[0] == "epoch,stage,accuracy,loss"


@pytest.mark.parametrize("torn", ["3", "3,1", "3,1,0.9", "3,1,0.9,0.", "3,1\n4,1,0.9,0.1\n"])
def test_a_torn_row_is_left_out(path: Path, torn: str) -> None:
    with path.open("a") as file:
        file.write(torn)
    assert history.read(path) == ROWS


def test_what_is_no_number_is_not_a_number(path: Path) -> None:
    with path.open("a") as file:
        file.write("3,1,nan,\n")
    last = history.read(path)[-1]
    assert math.isnan(last["accuracy"])
    assert math.isnan(last["loss"])


def test_no_history_has_no_rows(tmp_path: Path) -> None:
    assert history.read(tmp_path / "none.csv") == []


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_it_can_be_cut(path: Path, epochs: int) -> None:
    history.cut(path, epochs)
    assert history.read(path) == ROWS[:epochs]
    history.append(path, ROWS[0])
    assert history.read(path) == [*ROWS[:epochs], ROWS[0]]


def test_the_best_is_the_largest_accuracy_and_the_smallest_loss() -> None:
    assert history.best(ROWS, "accuracy") == 0.75
    assert history.best(ROWS, "loss") == 0.5
    assert history.best(ROWS, "val_loss") is None
    assert history.best([{"accuracy": math.nan}, *ROWS], "accuracy") == 0.75


def recipe(**options: object) -> Recipe:
    plain = {"name": "r", "document": "D", "data": "flowers", "classes": 2, "input": None}
    plain |= {"architecture": "gap", "stages": (), "parameters": None, "expected": "something"}
    return Recipe(**plain, **options)


def rows_of(validation: list[float], training: float = 0.4, loss: float = 1.0) -> list[history.Row]:
    return [{"val_accuracy": each, "accuracy": training, "loss": loss} for each in validation]


@pytest.mark.parametrize(
    ("validation", "patience", "is_over"),
    [
        ([0.1], 1, False),
        ([0.2, 0.1], 1, True),
        ([0.1, 0.2], 1, False),
        ([0.2, 0.2], 1, True),  # as good is no better
        ([0.2, 0.1, 0.1], 3, False),
        ([0.2, 0.1, 0.3, 0.2], 2, False),
        ([0.2, 0.1, 0.3, 0.2, 0.2], 2, True),
    ],
)
def test_patience(validation: list[float], patience: int, is_over: bool) -> None:
    stage = Stage(epochs=99)
    found = history.over(rows_of(validation), stage, recipe(patience=patience), "val_accuracy")
    assert (found is not None) is is_over


def test_a_stated_accuracy() -> None:
    wanted, stage = recipe(stop_at_accuracy=0.6), Stage(epochs=99)
    assert history.over(rows_of([0.1], training=0.59), stage, wanted, None) is None
    assert "0.6000 has reached 0.6" in str(
        history.over(rows_of([0.1], training=0.6), stage, wanted, None)
    )


def test_a_loss_that_is_no_number_any_more_ends_it() -> None:
    found = history.over(rows_of([0.1], loss=math.nan), Stage(epochs=99), recipe(), None)
    assert "smaller learning rate" in str(found)


def test_the_last_epoch_ends_nothing_early() -> None:
    assert history.over(rows_of([0.2, 0.1]), Stage(epochs=2), recipe(patience=1), "x") is None
    assert history.over([], Stage(epochs=2), recipe(patience=1), "x") is None
