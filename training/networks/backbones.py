"""Pretrained networks of keras.applications, with the preprocessing that each was trained with."""

from __future__ import annotations

import contextlib
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from training.errors import RecipeError, WeightsError
from training.recipes.recipe import IMAGENET, NO_WEIGHTS, Backbone

_TIMEOUT_SECONDS = 20.0
#: Means of ImageNet's blue, green and red.
_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class _Family:
    """What is known of a backbone.

    Attributes:
        build: its function in keras.applications.
        preprocess: stock layers that do to a tensor what its `preprocess_input` does.
        last_block: the layer from which fine-tuning unfreezes, unless told otherwise.
    """

    build: Callable[..., keras.Model]
    preprocess: Callable[[Any], Any]
    last_block: str


def _to_minus_one_and_one(pixels: Any) -> Any:
    return layers.Rescaling(1 / 127.5, offset=-1)(pixels)


def _blue_green_red_around_zero(pixels: Any) -> Any:
    reversed_channels = ops.flip(pixels, axis=-1)
    return layers.Rescaling(1.0, offset=[-mean for mean in _MEANS])(reversed_channels)


def _unchanged(pixels: Any) -> Any:
    """EfficientNetV2 has its rescaling built in; it wants floats."""
    return layers.Rescaling(1.0)(pixels)


_APPLICATIONS = keras.applications
_FAMILIES = {
    "InceptionV3": _Family(_APPLICATIONS.InceptionV3, _to_minus_one_and_one, "mixed6"),
    "VGG16": _Family(_APPLICATIONS.VGG16, _blue_green_red_around_zero, "block5_conv1"),
    "VGG19": _Family(_APPLICATIONS.VGG19, _blue_green_red_around_zero, "block5_conv1"),
    "ResNet50": _Family(_APPLICATIONS.ResNet50, _blue_green_red_around_zero, "conv5_block1_1_conv"),
    "MobileNetV2": _Family(_APPLICATIONS.MobileNetV2, _to_minus_one_and_one, "block_16_expand"),
    "EfficientNetV2B0": _Family(_APPLICATIONS.EfficientNetV2B0, _unchanged, "block6h_expand_conv"),
}


def last_block(backbone: Backbone) -> str:
    """Returns the name of the layer from which fine-tuning unfreezes, unless told otherwise."""
    return _FAMILIES[backbone.name].last_block


def load(backbone: Backbone, side: tuple[int, int]) -> keras.Model:
    """Returns the network with its weights, every layer frozen, cut where the recipe says.

    Args:
        side: height and width of the pictures, before they are enlarged.

    Returns:
        a model from preprocessed float32 [N, H, W, 3] to features [N, h, w, k].

    Raises:
        WeightsError: the weights can't be had or don't fit.
        RecipeError: there is no layer of the name at which to cut.
    """
    height, width = (backbone.upsample or length for length in side)
    options: dict[str, Any] = {"include_top": False, "input_shape": (height, width, 3)}
    if backbone.name == "MobileNetV2":
        options["alpha"] = backbone.alpha
    if backbone.name == "EfficientNetV2B0":
        options["include_preprocessing"] = True
    model = _with_weights(backbone, options)
    if backbone.cut is not None:
        found = _layer(model, backbone.cut)
        model = keras.Model(model.inputs, found.output, name=model.name)
    model.trainable = False
    return model


def preprocessed(backbone: Backbone, pixels: Any) -> Any:
    """Enlarges and preprocesses pixels in 0..255, symbolically: [N, H, W, 3] → [N, H', W', 3]."""
    if backbone.upsample is not None:
        factor, rest = divmod(backbone.upsample, pixels.shape[1])
        if rest or pixels.shape[1] != pixels.shape[2]:
            raise RecipeError(
                f"pictures of {pixels.shape[1]}×{pixels.shape[2]} can't be enlarged to"
                f" {backbone.upsample}×{backbone.upsample}: no whole multiple"
            )
        pixels = layers.UpSampling2D(factor, interpolation="bilinear")(pixels)
    return _FAMILIES[backbone.name].preprocess(pixels)


def unfreeze(model: keras.Model, first: str | None) -> None:
    """Freezes a backbone up to the layer of that name, all of it for None.

    Batch normalisation stays frozen: its statistics are those of the large data set that the
    backbone was trained with, and a few small batches would spoil them.

    Raises:
        RecipeError: there is no layer of that name.
    """
    model.trainable = first is not None
    if first is None:
        return
    position = model.layers.index(_layer(model, first))
    for number, layer in enumerate(model.layers):
        frozen = isinstance(layer, layers.BatchNormalization)
        layer.trainable = number >= position and not frozen


def _layer(model: keras.Model, name: str) -> layers.Layer:
    for layer in model.layers:
        if layer.name == name:
            return layer
    likely = [layer.name for layer in model.layers if layer.weights][-8:]
    raise RecipeError(f"{model.name} has no layer {name!r}; its last ones are {', '.join(likely)}")


def _with_weights(backbone: Backbone, options: dict[str, Any]) -> keras.Model:
    build = _FAMILIES[backbone.name].build
    if backbone.weights == IMAGENET:
        with _download(backbone.name):
            return build(weights=IMAGENET, **options)
    model = build(weights=None, **options)
    if backbone.weights != NO_WEIGHTS:
        _load_file(model, backbone)
    return model


def _load_file(model: keras.Model, backbone: Backbone) -> None:
    path = Path(backbone.weights)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file, nor one of 'imagenet' and 'none'")
    try:
        # Keras only warns where a part of the file or of the model is passed over.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, RuntimeError, UserWarning) as error:
        alpha = f" with alpha {backbone.alpha}" if backbone.name == "MobileNetV2" else ""
        raise WeightsError(
            f"{path}: is no file of weights of {backbone.name}{alpha} without its top:"
            f" {str(error).splitlines()[0]}"
        ) from error


@contextlib.contextmanager
def _download(name: str) -> Iterator[None]:
    """Keras downloads without a time limit, and shows its progress where results belong."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except Exception as error:  # Keras raises a plain one
        raise WeightsError(
            f"{name}'s imagenet weights can't be had: {error}\n"
            "Give a file of weights without the top: --weights FILE, or start from random ones:"
            " --weights none"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
