"""From a complete run to a published version."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from contract import manifest as manifests
from contract.files import write_whole
from contract.manifest import EncodedDeviation, Explanation
from contract.pixels import PixelSpec, decode
from contract.run_folder import RunFolder, Sample
from export import optimise, signatures, warmup
from export.cut import cut
from export.errors import ExportError
from export.explain import explain
from export.head import Head, head
from export.reference import with_reference
from export.verify import Verification, verify
from export.versions import Version, publish

#: What the `encoded` signature can decode, by the first bytes.
_DECODABLE = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8")


def export(
    run: RunFolder, models: Path, name: str | None = None, max_change: float | None = None
) -> tuple[Version, Verification]:
    """Publishes a complete run as the next version of a model.

    Args:
        run: its inference model, manifest and test pictures become the artifact.
        models: folder of all models.
        name: of the model; None takes the recipe's.
        max_change: of a probability, to which the artifact is optimised; None leaves it plain.

    Returns:
        the published version, and how it compares with the Keras model.

    Raises:
        RunFolderError: the run is not complete.
        ExportError: the model can't be exported under this name, can't be optimised, or would
            change its answers by more than `max_change`.
        VerificationError: it does not answer as the Keras model does; nothing is published.
    """
    manifest = run.manifest()
    name = name or manifest.recipe
    model = keras.models.load_model(run.inference_model, compile=False)
    found = head(model) if manifest.task == "classification" else None
    parts = _plain(model, found) if max_change is None else _optimised(model, found)
    ports = signatures.ports(manifest)
    by_pixels = signatures.serving_default(parts.predict, ports, parts.weights)
    functions = {"serving_default": by_pixels}
    if max_change is not None:
        manifest = replace(manifest, optimisation=optimise.measure(by_pixels, run, max_change))
    if (size := signatures.sides(manifest)) is not None:
        assert manifest.input is not None
        by_file = functions["encoded"] = signatures.encoded(by_pixels, size)
        deviation = _deviation(by_pixels, by_file, run.samples(), manifest.input)
        manifest = replace(manifest, encoded=deviation)
    if manifest.task == "classification":
        manifest = with_reference(manifest, run)
        if (halves := cut(model, parts.head)) is not None:
            functions["explain"] = explain(halves, ports.input, parts.weights)
            manifest = replace(manifest, explanation=Explanation(layer=halves.layer))
    functions["describe"] = signatures.describe(manifest)
    examples = run.test_set()[0][: warmup.BATCH_SIZES[-1]]

    def write(folder: Path) -> None:
        try:
            signatures.save(parts.saved, functions, str(folder))
            warmup.write(folder, name, ports.input.name, examples, explains="explain" in functions)
        except tf.errors.OpError as error:  # a full disk, say
            raise ExportError(f"{folder}: {error.message}") from error
        write_whole(folder / manifests.FILE, manifests.encode(manifest))
        # Before a model server can see it.
        verified.append(verify(folder, run))

    verified: list[Verification] = []
    version = publish(models, name, write)
    return version, verified[0]


@dataclass(frozen=True)
class _Parts:
    """What signatures are made of.

    Attributes:
        predict: images → what the model says of them.
        head: its last layers; None where there is none.
        weights: where it reads its weights from.
        saved: the model whose variables have to be saved for that.
    """

    predict: signatures.Predict
    head: Head | None
    weights: signatures.Weights
    saved: keras.Model | None


def _plain(model: keras.Model, found: Head | None) -> _Parts:
    return _Parts(partial(model, training=False), found, nullcontext, model)


def _optimised(model: keras.Model, found: Head | None) -> _Parts:
    if found is None:
        raise ExportError("only a classifier that ends with a softmax or sigmoid can be optimised")
    last = optimise.exact(found)
    return _Parts(optimise.predict(model, last), last, optimise.constant_weights(model), None)


def _deviation(
    by_pixels: Callable[..., Any],
    by_file: Callable[..., Any],
    samples: list[Sample],
    spec: PixelSpec,
) -> EncodedDeviation | None:
    """Compares the two ways from a file to probabilities on the run's sample files."""
    contents = [sample.file.read_bytes() for sample in samples]
    contents = [content for content in contents if content.startswith(_DECODABLE)]
    expected, got = [], []
    for content in contents:
        try:
            answer = by_file(tf.constant([content]))["probabilities"].numpy()[0]
        except tf.errors.InvalidArgumentError:
            continue  # a form that this decoder does not know, a CMYK JPEG say
        got.append(answer)
        pixels = decode(content, spec)[np.newaxis]
        expected.append(by_pixels(tf.constant(pixels))["probabilities"].numpy()[0])
    if not got:
        return None
    difference = np.abs(np.array(expected) - np.array(got))
    changed = np.argmax(expected, axis=1) != np.argmax(got, axis=1)
    return EncodedDeviation(
        images=len(got),
        mean_probability=float(difference.mean()),
        max_probability=float(difference.max()),
        changed_labels=int(changed.sum()),
    )
