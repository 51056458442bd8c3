"""Pixel rules 1 and 2, first half: an image of any Pillow mode becomes 8-bit grey or sRGB.

==================  ==========================================================================
mode                rule
==================  ==========================================================================
1                   black is 0, white is 255
L                   as it is
LA, La, PA          composited on white
P                   its palette's colours; with transparency composited on white
RGB, RGBX           as it is (the X is dropped); a transparent colour is composited on white
RGBA, RGBa          composited on white
CMYK                by its ICC profile, else Pillow's conversion
YCbCr, LAB, HSV     Pillow's conversion to RGB
I;16 (any order)    16 bits, scaled by 255/65535 and rounded; a transparent level is white
I                   taken as 16 bits: clipped to 0..65535, then as I;16
F                   0..255 if a value is over 2, else 0..1 (scaled by 255; a little overshoot is
                    common); not-a-number is black; clipped to 0..255 and rounded
==================  ==========================================================================

An embedded ICC profile is applied (perceptual intent, to sRGB) where it fits the mode and is not
sRGB itself; a profile that can't be read is ignored, as browsers do. PNG's gAMA and cHRM are
ignored. Grey from colour is ITU-R 601-2 luma of the sRGB values, after compositing.

This is part of pixel rules 1 and 2: its meaning never changes. Golden images hold it.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

# What each mode becomes before its profile and its transparency are dealt with.
_PLAIN_MODE = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "CMYK",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}

_MOST_OF_UNIT_RANGE = 2.0
#: Bytes of a profile whose transform is kept; a printer's may have a million.
_MOST_KEPT = 8192


def to_grey_or_srgb(image: Image.Image, block: int = 1) -> Image.Image:
    """Returns the image in mode L or RGB, 8 bits, opaque, in sRGB.

    A grey source stays grey (mode L) unless an ICC profile has to be applied; then its three
    channels are equal up to rounding.

    Args:
        block: blocks of so many pixels by as many become one, by their mean: before the profile is
            applied, which takes far longer than all else, or after the image was composited.

    Raises:
        ValueError: Pillow has no conversion for the image's mode.
    """
    profile = image.info.get("icc_profile")
    plain = _plain(image)
    if plain.mode not in ("LA", "RGBA"):
        colours = _apply_profile(_reduced(plain, block), profile)
        return colours.convert("RGB") if colours.mode == "CMYK" else colours
    if plain.mode == "RGBA" and not profile:
        # Pasting takes colours and alpha out of one image.
        return _reduced(_on_white("RGB", plain, plain), block)
    colours = _apply_profile(plain.convert(plain.mode[:-1]), profile)
    return _reduced(_on_white(colours.mode, colours, plain.getchannel("A")), block)


def _plain(image: Image.Image) -> Image.Image:
    """Returns the image in one of L, LA, RGB, RGBA, CMYK with 8 bits a channel."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_sixteen_bits(np.asarray(image), image.info.get("transparency"))
    if image.mode == "F":
        return _from_floats(np.asarray(image))
    mode = _PLAIN_MODE.get(image.mode, "RGB")
    if "transparency" in image.info:
        mode = _WITH_ALPHA.get(mode, mode)
    elif image.mode == "P" and image.has_transparency_data:  # a palette with alpha of its own
        mode = "RGBA"
    return image if image.mode == mode else image.convert(mode)


def _reduced(image: Image.Image, block: int) -> Image.Image:
    return image if block == 1 else image.reduce(block)


def _from_sixteen_bits(values: np.ndarray, transparent: int | None) -> Image.Image:
    # Pillow's own conversion clips at 255, which turns nearly the whole picture white.
    levels = values.astype(np.int32)
    np.clip(levels, 0, 65535, out=levels)
    if transparent is not None:
        levels[levels == transparent] = 65535
    levels += 128
    levels //= 257
    return Image.fromarray(levels.astype(np.uint8))


def _from_floats(values: np.ndarray) -> Image.Image:
    levels = values.astype(np.float64)
    levels[np.isnan(levels)] = 0.0
    if not (np.isfinite(levels) & (levels > _MOST_OF_UNIT_RANGE)).any():
        levels *= 255.0
    np.clip(levels, 0.0, 255.0, out=levels)
    np.rint(levels, out=levels)
    return Image.fromarray(levels.astype(np.uint8))


def _apply_profile(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Returns the image in sRGB (mode RGB), or unchanged where no profile is to be applied."""
    if not icc:
        return image
    from PIL import ImageCms  # only pictures with a profile pay for the colour library

    transform = _kept_transform if len(icc) <= _MOST_KEPT else _transform
    try:
        to_srgb = transform(icc, image.mode)
        return image if to_srgb is None else to_srgb.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns what brings an image of the mode to sRGB, or None where the profile says nothing."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    if profile.profile.xcolor_space != _PROFILE_SPACE[mode]:
        return None
    if (profile.profile.profile_description or "").startswith("sRGB"):
        return None
    srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.PERCEPTUAL
    return ImageCms.buildTransform(profile, srgb, mode, "RGB", intent)


# To make one takes as long as to apply it to a small picture, and cameras have few profiles.
_kept_transform = lru_cache(16)(_transform)


def _on_white(mode: str, colours: Image.Image, alpha: Image.Image) -> Image.Image:
    # Pasting needs a third of the memory of an alpha_composite, and gives the same levels.
    picture = Image.new(mode, colours.size, "white")
    picture.paste(colours, mask=alpha)
    return picture
