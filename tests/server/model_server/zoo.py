"""SavedModels of every make, as TensorFlow Serving hosts them, and what each must answer.

`SPECIMENS` are those that serve: `written` puts one on disk, its calls say what to send and what,
by NumPy alone, comes back. `FAILING` load and then fail; `MALFORMED` don't load.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.server.model_server import (
    zoo_keras,
    zoo_lince,
    zoo_malformed,
    zoo_tf1,
    zoo_tf1_state,
    zoo_tf2,
)
from tests.server.model_server.zoo_table import Arrays, Failing, Malformed, Specimen

SPECIMENS: dict[str, Specimen] = {
    specimen.name: specimen
    for module in (zoo_tf1, zoo_tf1_state, zoo_tf2, zoo_keras, zoo_lince)
    for specimen in module.SPECIMENS
}
FAILING: dict[str, Failing] = {entry.name: entry for entry in zoo_malformed.FAILING}
MALFORMED: dict[str, Malformed] = {entry.name: entry for entry in zoo_malformed.MALFORMED}


def written(root: Path, entry: Specimen | Failing | Malformed) -> Path:
    """The folder of a SavedModel under `root`, written if it isn't there yet."""
    folder = root / entry.name
    if not folder.exists():
        entry.write(folder)
    return folder


def first_row(arrays: Arrays) -> Arrays:
    """A batch of one: the first row of each tensor."""
    return {alias: np.asarray(array)[:1] for alias, array in arrays.items()}


def assert_outputs(response: Any, expected: Arrays) -> None:
    """A PredictResponse has exactly these outputs, up to float32's rounding."""
    assert set(response.outputs) == set(expected)
    for alias, want in expected.items():
        got, wanted = tf.make_ndarray(response.outputs[alias]), np.asarray(want)
        if wanted.dtype.kind in "SO":  # Strings: bytes of Python or of NumPy.
            assert (alias, got.tolist()) == (alias, wanted.tolist())
            continue
        assert (alias, got.dtype, got.shape) == (alias, wanted.dtype, wanted.shape)
        # NumPy can't compare bfloat16 in this way.
        wide = (array.astype(np.complex128) for array in (got, wanted))
        np.testing.assert_allclose(*wide, rtol=1e-5, atol=1e-6, err_msg=alias)
