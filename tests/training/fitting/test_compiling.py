"""Steps at once: quicker for small models, and otherwise as if each were on its own."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from tests.training.helpers import KERAS_AND_NUMPY
from training.fitting import stream
from training.fitting.compiling import compile_model, steps_at_once
from training.fitting.stream import Examples
from training.recipes import find

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("shape", "batch", "steps", "at_once"),
    [
        ((28, 28, 1), 32, 1875, 25),  # the largest divisor up to 32
        ((28, 28, 1), 32, 64, 32),
        ((28, 28, 1), 32, 13, 13),
        ((28, 28, 1), 32, 37, 1),  # nothing but 37 divides it
        ((28, 28, 1), 32, 1, 1),
        ((32, 32, 3), 32, 60, 10),  # of 98,304 values ten make a million
        ((180, 180, 3), 32, 92, 1),  # a step of millions is long enough
        ((1,), 1, 6, 6),
    ],
)
def test_how_many_steps(shape: tuple[int, ...], batch: int, steps: int, at_once: int) -> None:
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    assert steps_at_once(model, batch, steps) == at_once


@pytest.mark.filterwarnings(KERAS_AND_NUMPY)
def test_the_fit_is_the_same_and_no_call_takes_batches_of_the_next_epoch() -> None:
    recipe, steps = find("digits-cnn"), 6
    rng = np.random.default_rng(0)
    inputs = rng.random((steps * 8 - 3, 4), np.float32)
    examples = Examples(inputs, rng.integers(0, 3, len(inputs)), np.arange(len(inputs)))

    def fitted(at_once: int) -> tuple[list[np.ndarray], list[float], int]:
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dropout(0.2), keras.layers.Dense(3, activation="softmax")]
        model = keras.Sequential([keras.Input((4,)), *layers])
        compile_model(model, recipe, recipe.stages[0].optimizer, 3, steps, at_once)
        batches = stream.shuffled(examples, 8, first_epoch=0, epochs=3, seed=1)
        fit = model.fit(batches, steps_per_epoch=steps, epochs=3, shuffle=False, verbose=0)
        return model.get_weights(), fit.history["loss"], int(model.optimizer.iterations.numpy())

    one_by_one = fitted(1)
    assert one_by_one[2] == 3 * steps
    for (weights, losses, count), other in pairwise([one_by_one, fitted(3), fitted(6)]):
        assert count == other[2]
        np.testing.assert_allclose(losses, other[1], rtol=1e-5)
        for mine, theirs in zip(weights, other[0], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
