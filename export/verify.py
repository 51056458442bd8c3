"""Loads an artifact back and holds it against the Keras model it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from contract import manifest as manifests
from contract.run_folder import RunFolder
from export.errors import VerificationError

#: No probability of an exported dense net or CNN may differ by more.
TOLERANCE = 1e-5
_BATCH = 32


@dataclass(frozen=True)
class Verification:
    """How an artifact compares with its Keras model: pictures, largest difference, same tops."""

    images: int
    largest_difference: float
    same_labels: int


def verify(artifact: Path, run: RunFolder) -> Verification:
    """Compares probabilities over the run's whole test set, in float32 without TensorFloat-32.

    Raises:
        VerificationError: a probability differs by more than TOLERANCE, the artifact does not
            describe itself as its manifest file says, or it can't be loaded at all.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        loaded = tf.saved_model.load(str(artifact))
    except (OSError, tf.errors.OpError) as error:
        raise VerificationError(f"{artifact}: can't be loaded: {error}") from error
    if "describe" not in loaded.signatures:
        raise VerificationError(f"{artifact}: has no signature `describe`: not made by Lince")
    said = loaded.signatures["describe"](query=tf.constant([b""]))["manifest"].numpy()[0]
    if said != (artifact / manifests.FILE).read_bytes():
        raise VerificationError(f"{artifact}: `describe` and {manifests.FILE} say different things")
    if manifests.parse(said).run != run.manifest().run:
        raise VerificationError(f"{artifact} was not made from {run.folder}")
    images, _ = run.test_set()
    model = keras.models.load_model(run.inference_model, compile=False)
    expected = np.asarray(model.predict(images, batch_size=_BATCH, verbose=0))
    serve = loaded.signatures["serving_default"]
    got = np.concatenate(
        [
            serve(images=tf.constant(images[start : start + _BATCH]))["probabilities"].numpy()
            for start in range(0, len(images), _BATCH)
        ]
    )
    result = Verification(
        images=len(images),
        largest_difference=float(np.abs(got - expected).max()),
        same_labels=int((got.argmax(axis=1) == expected.argmax(axis=1)).sum()),
    )
    if not result.largest_difference <= TOLERANCE:  # not-a-number is no agreement either
        raise VerificationError(
            f"{artifact}: a probability differs from the Keras model's by"
            f" {result.largest_difference:.2e}, more than {TOLERANCE:.0e}"
        )
    return result
