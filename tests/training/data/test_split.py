"""Training, validation and test set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.helpers import data_set
from training.data.dataset import DataSet
from training.data.split import Split, split
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


def test_an_own_validation_set_is_kept_beside_an_own_test_set() -> None:
    data = interleaved(100, validation=20, test=30)
    chosen = split(data, validation_share=0.3, test_share=0.3, seed=3)
    assert chosen.train.tolist() == list(range(50))
    assert chosen.validation.tolist() == list(range(50, 70))
    assert chosen.test.tolist() == list(range(70, 100))


def test_without_an_own_test_set_it_gives_half_of_the_own_validation_set() -> None:
    data = interleaved(100, validation=40, test=0)
    chosen = split(data, validation_share=0.3, test_share=0.3, seed=3)
    assert chosen.train.tolist() == list(range(60))
    for half in (chosen.validation, chosen.test):
        assert np.bincount(data.targets[half]).tolist() == [10, 10]
        assert half.min() >= 60


def test_numbers_are_split_without_classes() -> None:
    x = np.arange(10, dtype=np.float32).reshape(-1, 1)
    data = DataSet(name="line", source="made", labels=(), inputs=x, targets=x, own_test=2)
    chosen = split(data, validation_share=0.25, test_share=0.5, seed=1)
    assert [len(part) for part in parts_of(chosen)] == [6, 2, 2]
    assert chosen.test.tolist() == [8, 9]
    with pytest.raises(DataError, match="too few points"):
        split(data, validation_share=0.99, test_share=0, seed=1)


def interleaved(total: int, *, validation: int, test: int, classes: int = 2) -> DataSet:
    """Classes that take turns, so that each own set has all of them."""
    targets = np.arange(total, dtype=np.int64) % classes
    return DataSet(
        name="made",
        source="generated",
        labels=tuple("abcdefghij"[:classes]),
        inputs=np.zeros((total, 1, 1, 1), np.uint8),
        targets=targets,
        own_validation=validation,
        own_test=test,
    )


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(2, 5),
    sizes=st.tuples(st.integers(30, 120), st.integers(0, 60), st.integers(0, 60)),
    shares=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_split_is_disjoint_complete_stratified_and_reproducible(
    classes: int, sizes: tuple[int, int, int], shares: tuple[float, float], seed: int
) -> None:
    # A set of its own has each class twice, or is not there.
    train, validation, test = (size if size >= 2 * classes else 0 for size in sizes)
    total = train + validation + test
    data = interleaved(total, validation=validation, test=test, classes=classes)
    chosen = split(data, validation_share=shares[0], test_share=shares[1], seed=seed)
    parts = parts_of(chosen)
    assert set.union(*parts) == set(range(total))
    assert sum(map(len, parts)) == total
    again = split(data, validation_share=shares[0], test_share=shares[1], seed=seed)
    assert parts == parts_of(again)
    own_test, own_validation = range(total - test, total), range(train, total - test)
    if test:
        assert parts[2] == set(own_test)
    if validation:
        assert parts[0] == set(range(train))
        assert parts[1] <= set(own_validation)
        assert test or abs(len(parts[1]) - len(parts[2])) <= classes
    for part in vars(chosen).values():
        counts = np.bincount(data.targets[part], minlength=classes)
        assert not len(part) or counts.max() - counts.min() <= 2
