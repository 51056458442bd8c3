"""What augmentation does to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from training.pictures import canvas
from training.pictures.theme import Theme

VERSIONS = 9
_COLUMNS, _ROWS = 5, 2
_MARGIN = 0.05


def versions(
    image: NDArray[np.uint8], layers: Sequence[keras.layers.Layer], seed: int
) -> list[NDArray[np.uint8]]:
    """Returns nine augmented versions of an image, uint8 [H, W, C]; the same for the same seed."""
    for number, layer in enumerate(layers):
        _seed(layer, seed + number)
    made = []
    for _ in range(VERSIONS):
        pixels = keras.ops.convert_to_tensor(image[np.newaxis].astype(np.float32))
        for layer in layers:
            pixels = layer(pixels, training=True)
        made.append(np.clip(np.rint(keras.ops.convert_to_numpy(pixels)[0]), 0, 255))
    return [version.astype(np.uint8) for version in made]


def preview(
    image: NDArray[np.uint8], layers: Sequence[keras.layers.Layer], theme: Theme, seed: int
) -> bytes:
    """Draws an image and nine augmented versions of it, in two rows.

    Args:
        image: uint8 [H, W, 1 or 3].
        layers: Keras's preprocessing layers, which take pixels in 0..255; their random state is
            set.
        seed: the same versions for the same seed.

    Returns:
        A PNG.
    """
    cell = (canvas.WIDTH - _MARGIN * (_COLUMNS - 1)) / _COLUMNS
    height = _ROWS * cell + _MARGIN + 0.3
    drawn = canvas.figure(theme, height, dpi=canvas.PHOTO_DPI, free=True)
    canvas.write(drawn, 0.02, 0.02, "original", color=theme.text)
    canvas.write(
        drawn, canvas.WIDTH - 0.02, 0.02, "nine versions of it", color=theme.muted, align="right"
    )
    for number, pixels in enumerate([image, *versions(image, layers, seed)]):
        row, column = divmod(number, _COLUMNS)
        left, top = column * (cell + _MARGIN), 0.28 + row * (cell + _MARGIN)
        axes = canvas.place(drawn, left, top, cell, cell)
        canvas.show(axes, canvas.thumbnail(pixels, 256), theme)
        if number == 0:
            for spine in axes.spines.values():
                spine.set_color(theme.train)
                spine.set_linewidth(3)
    return canvas.png(drawn)


def _seed(layer: keras.layers.Layer, seed: int) -> None:
    """Sets a layer's own random state; Keras's global one is left alone."""
    for variable in layer.variables:
        if "seed_generator" in variable.path:
            variable.assign([seed, 0])
