"""The signatures of an artifact, as TensorFlow functions.

Each keeps the batch as dimension 0 of every input and output, so that it works on a TensorFlow
Serving that batches.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from contract import manifest as manifests
from contract.manifest import Manifest

#: Images → what the model says of them.
Predict = Callable[[Any], Any]
#: Opened while a function is traced: what the model reads its weights from. Unless given, from its
#: variables.
Weights = Callable[[], AbstractContextManager[Any]]
#: Grey from red, green and blue: ITU-R 601-2, as in the contract.
_LUMA = [[0.299], [0.587], [0.114]]


@dataclass(frozen=True)
class Ports:
    """What `serving_default` takes and gives, by the manifest's task.

    Attributes:
        input: `images` uint8 [N, H, W, C], or `x` float32 [N, 1] for a regression.
        output: `probabilities` float32 [N, K], `features` float32 [N, h, w, k] or `y` float32
            [N, 1].
    """

    input: tf.TensorSpec
    output: str


_OUTPUTS = {"classification": "probabilities", "features": "features", "regression": "y"}


def ports(manifest: Manifest) -> Ports:
    """Returns the names, dtypes and shapes of a model's `serving_default`."""
    spec = manifest.input
    if spec is None:
        taken = tf.TensorSpec([None, 1], tf.float32, name="x")
    else:
        shape = [None, spec.height, spec.width, spec.channels]
        taken = tf.TensorSpec(shape, tf.uint8, name="images")
    return Ports(taken, _OUTPUTS[manifest.task])


def serving_default(predict: Predict, given: Ports, weights: Weights = nullcontext) -> Any:
    """What the model is there for: `Ports` says what it takes and gives."""

    @tf.function(input_signature=[given.input])
    def call(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        with weights():
            return {given.output: predict(inputs)}

    return call


@dataclass(frozen=True)
class Sides:
    """A model's fixed input size in pixels."""

    height: int
    width: int
    channels: int


def sides(manifest: Manifest) -> Sides | None:
    """Returns the input size of an image classifier; None where there is no fixed one."""
    spec = manifest.input
    if manifest.task != "classification" or spec is None:
        return None
    if spec.height is None or spec.width is None:
        return None
    return Sides(spec.height, spec.width, spec.channels)


def encoded(serve: Any, size: Sides) -> Any:
    """string `images` [N], each a JPEG, PNG, BMP or GIF → float32 `probabilities` [N, K].

    A convenience for clients of TensorFlow Serving's own REST API: another decoder than the
    contract's and no EXIF orientation, so its answers deviate; the manifest says by how much.

    Args:
        serve: `serving_default`, which it calls.
        size: of the pictures that this takes.
    """

    def pixels(data: tf.Tensor) -> tf.Tensor:
        # Always in colour: TensorFlow decodes no BMP and no GIF to grey.
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        image = tf.image.resize(image, (size.height, size.width), antialias=True)
        if size.channels == 1:
            image = tf.tensordot(image, tf.constant(_LUMA), 1)
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="images")])
    def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = (size.height, size.width, size.channels)
        decoded = tf.map_fn(pixels, images, fn_output_signature=tf.TensorSpec(shape, tf.uint8))
        return {"probabilities": serve(decoded)["probabilities"]}

    return call


def describe(manifest: Manifest) -> Any:
    """string `query` [N], whatever it says → string `manifest` [N], the manifest as JSON."""
    text = manifests.encode(manifest)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="query")])
    def call(query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"manifest": tf.fill(tf.shape(query), text)}

    return call


def save(model: keras.Model | None, functions: dict[str, Any], folder: str) -> None:
    """Writes a SavedModel with exactly these signatures.

    Args:
        model: whose variables they read; None where they read none.
        functions: the signatures by name.
        folder: to write into.
    """
    module = tf.Module()
    if model is not None:
        # The bare TensorFlow variables: with Keras's own wrappers each is saved twice, and a
        # session (TensorFlow Serving's way to run a model) restores the copy that no function
        # reads.
        module.weights = [variable.value for variable in model.variables]
    concrete = {name: function.get_concrete_function() for name, function in functions.items()}
    tf.saved_model.save(module, folder, signatures=concrete)
