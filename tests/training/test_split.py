"""Training, validation and test set."""

import numpy as np
import pytest

from tests.training.helpers import data_set
from training.data.dataset import Split, split
from training.errors import DataError


def parts_of(chosen: Split) -> list[set[int]]:
    return [set(map(int, part)) for part in (chosen.train, chosen.validation, chosen.test)]


@pytest.mark.parametrize(
    ("counts", "own_test", "validation", "test"),
    [
        ([50, 50], 0, 0.2, 0.2),
        ([50, 50], 0, 0.0, 0.2),
        ([50, 50], 0, 0.2, 0.0),
        ([50, 50], 0, 0.0, 0.0),
        ([90, 30, 60], 0, 0.1, 0.1),
        ([50, 50], 20, 0.2, 0.0),
        ([50, 50], 20, 0.2, 0.3),
        ([3, 3, 3], 0, 0.1, 0.1),
    ],
)
def test_the_parts_are_disjoint_and_complete(
    counts: list[int], own_test: int, validation: float, test: float
) -> None:
    data = data_set(counts, own_test)
    chosen = split(data, validation_share=validation, test_share=test, seed=1)
    parts = parts_of(chosen)
    assert sum(map(len, parts)) == sum(counts)
    assert set.union(*parts) == set(range(sum(counts)))
    for part in (chosen.train, chosen.validation, chosen.test):
        assert (np.diff(part) > 0).all()
    assert bool(parts[1]) == bool(validation)
    assert bool(parts[2]) == bool(test or own_test)


def test_the_same_seed_gives_the_same_parts() -> None:
    data = data_set([40, 40, 40])
    chosen = [
        parts_of(split(data, validation_share=0.2, test_share=0.2, seed=seed)) for seed in (7, 7, 8)
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0][1] != chosen[2][1]
    assert chosen[0][2] != chosen[2][2]


def test_every_class_is_divided_by_the_same_shares() -> None:
    data = data_set([100, 40, 20])
    chosen = split(data, validation_share=0.1, test_share=0.2, seed=3)
    counted = [np.bincount(data.targets[part]).tolist() for part in vars(chosen).values()]
    assert counted == [[70, 28, 14], [10, 4, 2], [20, 8, 4]]


def test_a_data_sets_own_test_set_is_kept() -> None:
    data = data_set([50, 50], own_test=30)
    chosen = split(data, validation_share=0.1, test_share=0.5, seed=3)
    assert chosen.test.tolist() == list(range(70, 100))
    assert len(chosen.validation) == 7


@pytest.mark.parametrize("counts", [[50, 1], [50, 2], [60, 2, 60]])
def test_a_class_too_small_for_every_part_is_named(counts: list[int]) -> None:
    with pytest.raises(DataError, match=f"too few pictures .*class 'b' has only {counts[1]}"):
        split(data_set(counts), validation_share=0.1, test_share=0.1, seed=1)


def test_shares_that_leave_nothing_to_learn_from_are_refused() -> None:
    with pytest.raises(DataError, match="too few pictures"):
        split(data_set([50, 50]), validation_share=0.8, test_share=0.2, seed=1)


def test_the_fingerprint_tells_data_sets_apart() -> None:
    assert data_set([5, 6]).fingerprint() == data_set([5, 6]).fingerprint()
    assert data_set([5, 6]).fingerprint() != data_set([6, 5]).fingerprint()
    assert data_set([5, 6]).fingerprint() != data_set([5, 7]).fingerprint()
