"""Pixel rule 1, first half: an image of any Pillow mode becomes 8-bit grey or sRGB.

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

This is part of pixel rule 1: its meaning never changes. Golden images hold it.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

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


def to_grey_or_srgb(image: Image.Image) -> Image.Image:
    """Returns the image in mode L or RGB, 8 bits, opaque, in sRGB.

    A grey source stays grey (mode L) unless an ICC profile has to be applied; then its three
    channels are equal up to rounding.

    Raises:
        ValueError: Pillow has no conversion for the image's mode.
    """
    profile = image.info.get("icc_profile")
    plain = _plain(image)
    alpha = plain.getchannel("A") if plain.mode in ("LA", "RGBA") else None
    opaque = plain.convert(plain.mode[:-1]) if alpha is not None else plain
    colours = _apply_profile(opaque, profile)
    if colours.mode == "CMYK":
        colours = colours.convert("RGB")
    return colours if alpha is None else _on_white(colours, alpha)


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

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if profile.profile.xcolor_space != _PROFILE_SPACE[image.mode]:
            return image
        if (profile.profile.profile_description or "").startswith("sRGB"):
            return image
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if converted is None else converted


def _on_white(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    # Pasting needs a third of the memory of an alpha_composite, and gives the same levels.
    picture = Image.new(colours.mode, colours.size, "white")
    picture.paste(colours, mask=alpha)
    return picture
