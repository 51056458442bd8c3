"""Augmentation: Keras layers that change a picture at random while a model is fitted.

They work on float pixels in 0..255, do nothing outside of training, and are left out of the
exported model.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import layers

from training.errors import RecipeError

#: What the documents call `fill_mode`: pixels from outside repeat the nearest one.
_NEAREST = "nearest"


def layers_of(name: str | None) -> list[layers.Layer]:
    """Returns the layers of a policy, in the order in which they are applied; none for None.

    Raises:
        RecipeError: there is no policy of that name.
    """
    if name is None:
        return []
    if name not in POLICIES:
        raise RecipeError(f"no augmentation {name!r}; there are {', '.join(POLICIES)}")
    return POLICIES[name]()


def _document_b() -> list[layers.Layer]:
    """Document B 2: rotation 40°, shifts 0.2, shear 0.2, zoom 0.2, flip, fill nearest.

    The documents' ImageDataGenerator takes the shear in degrees, of which 0.2 can't be seen; here
    it is a share of the side, as the other numbers are.
    """
    return [
        layers.RandomRotation(40 / 360, fill_mode=_NEAREST),
        layers.RandomTranslation(0.2, 0.2, fill_mode=_NEAREST),
        layers.RandomShear(0.2, 0.2, fill_mode=_NEAREST),
        layers.RandomZoom(0.2, 0.2, fill_mode=_NEAREST),
        layers.RandomFlip("horizontal"),
    ]


def _document_d() -> list[layers.Layer]:
    """Document D: flip, a rotation of up to 0.1 of a turn, zoom 0.1."""
    return [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)]


def _flip() -> list[layers.Layer]:
    """Left and right alone."""
    return [layers.RandomFlip("horizontal")]


POLICIES: dict[str, Callable[[], list[layers.Layer]]] = {
    "document-b": _document_b,
    "document-d": _document_d,
    "flip": _flip,
}
