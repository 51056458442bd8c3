"""The rows of the zoo: what a SavedModel is, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
"""Tensors by alias: NumPy arrays, or nested lists of bytes for strings."""


@dataclass(frozen=True)
class Call:
    """One Predict and its answer.

    Attributes:
        inputs: What to send, with the dtypes of the signature.
        outputs: What comes back, all of it.
        signature: Which signature to call.
        row_wise: Each row of each output depends on that row of the inputs alone: the answers
            are the same whatever the request is batched with.
    """

    inputs: Arrays
    outputs: Arrays
    signature: str = "serving_default"
    row_wise: bool = True


@dataclass(frozen=True)
class Specimen:
    """One SavedModel that loads.

    Attributes:
        name: Of the specimen, good for a folder and a model.
        write: Puts the SavedModel into a folder that doesn't exist yet.
        calls: At least one; in this order where an earlier one changes the model's state.
        tags: For which the server has to be started, `saved_model_tags`.
    """

    name: str
    write: Callable[[Path], None]
    calls: tuple[Call, ...]
    tags: str = "serve"


@dataclass(frozen=True)
class Malformed:
    """One folder that TensorFlow Serving doesn't load.

    Attributes:
        name: Of the specimen.
        write: Puts what there is into a folder that doesn't exist yet.
        code: The status of the failed load.
        text: What its text starts with, `{path}` standing for the version's folder.
        tags: As of a Specimen.
    """

    name: str
    write: Callable[[Path], None]
    code: str
    text: str
    tags: str = "serve"


@dataclass(frozen=True)
class Failing:
    """One SavedModel that TensorFlow Serving loads, and whose calls fail.

    Attributes:
        name: Of the specimen.
        write: As of a Specimen.
        inputs: Of a call of `serving_default`, as of a Call.
        code: The status of the call.
        text: What its text starts with.
        tags: As of a Specimen.
    """

    name: str
    write: Callable[[Path], None]
    inputs: Arrays
    code: str
    text: str
    tags: str = "serve"


def strings(*values: bytes) -> np.ndarray:
    """A string tensor [N]; NumPy's own bytes would drop trailing zero bytes."""
    return np.array(values, object)
