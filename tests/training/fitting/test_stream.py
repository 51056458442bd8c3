"""Batches from an array: every example once an epoch, in an order of its own."""

import numpy as np
import pytest

from training.fitting.stream import Examples, in_order, shuffled, usable

INPUTS = np.arange(20, dtype=np.uint8).reshape(20, 1)
TARGETS = (np.arange(20) % 3).astype(np.int64)
POSITIONS = np.array([2, 3, 5, 7, 11, 13, 17])
EXAMPLES = Examples(INPUTS, TARGETS, POSITIONS)


def order(*, first_epoch: int, epochs: int, seed: int, batch: int = 3) -> list[list[int]]:
    stream = shuffled(EXAMPLES, batch, first_epoch=first_epoch, epochs=epochs, seed=seed)
    return [x[:, 0].tolist() for x, _ in stream.as_numpy_iterator()]


def test_every_example_is_there_once_an_epoch_and_no_batch_spans_two() -> None:
    batches = order(first_epoch=0, epochs=4, seed=1)
    assert [len(batch) for batch in batches] == [3, 3, 1] * 4
    for start in range(0, 12, 3):
        epoch = [number for batch in batches[start : start + 3] for number in batch]
        assert sorted(epoch) == POSITIONS.tolist()
    assert len({str(batches[start : start + 3]) for start in range(0, 12, 3)}) == 4


@pytest.mark.parametrize("first", [1, 3])
def test_an_epochs_order_depends_on_its_number_and_the_seed(first: int) -> None:
    whole = order(first_epoch=0, epochs=5, seed=1)
    assert order(first_epoch=first, epochs=5, seed=1) == whole[3 * first :]
    assert order(first_epoch=0, epochs=5, seed=2) != whole


@pytest.mark.parametrize(
    ("count", "batch", "replicas", "left"),
    [(9, 4, 2, 8), (7, 4, 2, 6), (8, 4, 2, 8), (7, 3, 1, 7), (34, 16, 16, 32), (3, 4, 4, 0)],
)
def test_batches_divide_evenly_among_replicas(
    count: int, batch: int, replicas: int, left: int
) -> None:
    assert usable(count, batch, replicas) == left
    examples = Examples(np.zeros((count, 1)), np.zeros(count), np.arange(count))
    for stream in (
        in_order(examples, batch, replicas),
        shuffled(examples, batch, first_epoch=0, epochs=1, seed=1, replicas=replicas),
    ):
        sizes = [len(x) for x, _ in stream.as_numpy_iterator()]
        assert sum(sizes) == left
        assert all(size % replicas == 0 for size in sizes)


def test_targets_belong_to_their_inputs() -> None:
    for x, y in shuffled(EXAMPLES, 2, first_epoch=0, epochs=2, seed=1).as_numpy_iterator():
        np.testing.assert_array_equal(y, x[:, 0] % 3)


def test_in_order() -> None:
    ((x, y),) = in_order(EXAMPLES, 100).as_numpy_iterator()
    assert x[:, 0].tolist() == POSITIONS.tolist()
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)


def test_one_hot() -> None:
    examples = Examples(INPUTS, TARGETS, POSITIONS, one_hot=3)
    ((_, y),) = in_order(examples, 100).as_numpy_iterator()
    np.testing.assert_array_equal(y, np.eye(3, dtype=np.float32)[POSITIONS % 3])
