"""Loads an artifact back and holds it against the Keras model it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from contract import manifest as manifests
from contract.manifest import Manifest
from contract.run_folder import RunFolder
from export import signatures
from export.errors import VerificationError

#: No probability of an exported dense net or CNN may differ by more, nor any other output, as a
#: share of the largest.
TOLERANCE = 1e-5
#: The same for a model on a deep backbone, whose many layers add up float32's rounding.
DEEP_TOLERANCE = 1e-4
_BATCH = 32


@dataclass(frozen=True)
class Verification:
    """How an artifact compares with its Keras model.

    Attributes:
        examples: how many of the test set were compared.
        largest_difference: of a probability; of any other output as a share of the largest one.
        allowed: what it may be.
        same_labels: how many got the same top label; None where there are no labels.
    """

    examples: int
    largest_difference: float
    allowed: float
    same_labels: int | None


def verify(artifact: Path, run: RunFolder) -> Verification:
    """Compares outputs over the run's whole test set, in float32 without TensorFloat-32.

    Raises:
        VerificationError: an output differs by more than is allowed, `explain` does not give what
            it should, the artifact does not describe itself as its manifest file says, or it can't
            be loaded at all.
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
    manifest = manifests.parse(said)
    if manifest.run != run.manifest().run:
        raise VerificationError(f"{artifact} was not made from {run.folder}")
    result = _compare(loaded, manifest, run)
    if not result.largest_difference <= result.allowed:  # not-a-number is no agreement either
        raise VerificationError(
            f"{artifact}: an output differs from the Keras model's by"
            f" {result.largest_difference:.2e}, more than {result.allowed:.0e}"
        )
    _check_explanation(artifact, loaded, manifest, run)
    return result


def _check_explanation(artifact: Path, loaded: Any, manifest: Manifest, run: RunFolder) -> None:
    """Holds `explain` against `serving_default`, on pictures from the whole of the test set."""
    if ("explain" in loaded.signatures) != (manifest.explanation is not None):
        raise VerificationError(f"{artifact}: manifest and signatures differ about `explain`")
    if manifest.explanation is None:
        return
    inputs, _ = run.test_set()
    chosen = np.unique(np.linspace(0, len(inputs) - 1, _BATCH).astype(int))
    images = tf.constant(inputs[chosen])
    answer = loaded.signatures["explain"](images=images)
    maps = answer["heatmap"].numpy()
    if maps.ndim != 3 or len(maps) != len(chosen):
        raise VerificationError(f"{artifact}: `explain` gives heat maps of the shape {maps.shape}")
    if not (np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1):
        raise VerificationError(f"{artifact}: `explain` gives a heat map that is not within 0..1")
    expected = loaded.signatures["serving_default"](images=images)["probabilities"].numpy()
    difference = float(np.abs(answer["probabilities"].numpy() - expected).max())
    if not difference <= _allowed(manifest):
        raise VerificationError(
            f"{artifact}: a probability of `explain` differs from `serving_default`'s by"
            f" {difference:.2e}, more than {_allowed(manifest):.0e}"
        )


def _allowed(manifest: Manifest) -> float:
    return TOLERANCE if manifest.backbone is None else DEEP_TOLERANCE


def _compare(loaded: Any, manifest: Manifest, run: RunFolder) -> Verification:
    inputs, _ = run.test_set()
    model = keras.models.load_model(run.inference_model, compile=False)
    ports, serve = signatures.ports(manifest), loaded.signatures["serving_default"]
    classifies = manifest.task == "classification"
    largest, scale, same = [0.0], 1.0 if classifies else 0.0, 0
    for start in range(0, len(inputs), _BATCH):
        batch = tf.constant(inputs[start : start + _BATCH])
        expected = model(batch, training=False).numpy()
        got = serve(**{ports.input.name: batch})[ports.output].numpy()
        largest.append(float(np.abs(got - expected).max()))
        if classifies:
            same += int((got.argmax(axis=1) == expected.argmax(axis=1)).sum())
        else:
            scale = max(scale, float(np.abs(expected).max()))
    return Verification(
        examples=len(inputs),
        # Not Python's max, which passes over not-a-number.
        largest_difference=float(np.max(largest)) / (scale or 1.0),
        allowed=_allowed(manifest),
        same_labels=same if classifies else None,
    )
