"""Document C's two rules, against Keras itself."""

import itertools

import keras
import pytest

from training.networks.rules import output_size, parameters

SIZES, FILTERS, STRIDES = (7, 8, 28, 33), (1, 2, 3, 5), (1, 2, 3)
GRID = list(itertools.product(SIZES, FILTERS, STRIDES, ("valid", "same")))


@pytest.mark.parametrize(("n", "f", "s", "padding"), GRID)
def test_the_output_is_as_large_as_keras_says(n: int, f: int, s: int, padding: str) -> None:
    layer = keras.layers.Conv2D(1, f, strides=s, padding=padding)
    shape = layer.compute_output_shape((None, n, n + 4, 3))
    assert shape[1:3] == (output_size(n, f, s, padding), output_size(n + 4, f, s, padding))


@pytest.mark.parametrize(("f", "c", "k"), list(itertools.product(FILTERS, (1, 3, 16), (1, 8, 64))))
def test_a_convolution_has_as_many_weights_as_keras_says(f: int, c: int, k: int) -> None:
    layer = keras.layers.Conv2D(k, f)
    layer.build((None, 28, 28, c))
    assert layer.count_params() == parameters(f, c, k)


def test_the_documents_own_examples() -> None:
    assert output_size(256, 5, 1, "same") == 256
    assert output_size(256, 5, 2, "valid") == 126
    assert (parameters(5, 3, 16), parameters(3, 3, 16) + parameters(5, 16, 32)) == (1_216, 13_280)


def test_a_filter_larger_than_its_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="filter of 5 does not fit into an input of 4"):
        output_size(4, 5, 1, "valid")
