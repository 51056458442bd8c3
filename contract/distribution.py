"""What a model sees and says, as histograms: measured at export, and online to see drift.

Both sides count with these functions, so that a difference is one of the pictures and not of the
counting. The edges of the bins never change: other bins are another field of the manifest.

A picture's brightness at a pixel is the mean of its channels. Its contrast is the standard
deviation of that over the picture, which is RMS contrast (Peli 1990, "Contrast in complex images",
J. Opt. Soc. Am. A 7(10)); values in 0..1 have one of at most 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

#: Of every histogram but that of the labels.
BINS = 10
#: The last bin has both its edges, every other one its lower edge alone.
CONFIDENCE_EDGES = tuple(number / BINS for number in range(BINS + 1))
BRIGHTNESS_EDGES = CONFIDENCE_EDGES
CONTRAST_EDGES = tuple(number / (2 * BINS) for number in range(BINS + 1))

# Added to each bin's count before shares are taken: an empty bin would make the index infinite.
_SMOOTHING = 0.5

_Count = Annotated[int, Meta(ge=0)]
_Histogram = Annotated[tuple[_Count, ...], Meta(min_length=BINS, max_length=BINS)]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Histograms of the pictures that a classifier was given and of its answers.

    Attributes:
        images: number of pictures.
        confidence: of the largest probability, ten bins from 0 to 1.
        predictions: pictures whose top label it is, for each label in the manifest's order.
        brightness: of the pictures' mean brightness, ten bins from 0 (black) to 1 (white).
        contrast: of the standard deviation of their brightness, ten bins from 0 to 0.5.
    """

    images: _Count
    confidence: _Histogram
    predictions: tuple[_Count, ...]
    brightness: _Histogram
    contrast: _Histogram

    def __post_init__(self) -> None:
        for name in HISTOGRAMS:
            total = sum(getattr(self, name))
            if total != self.images:
                raise ValueError(f"{name}: counts {total} images of {self.images}")


#: The fields of a Distribution that are histograms.
HISTOGRAMS = tuple(field.name for field in fields(Distribution) if field.name != "images")


def measure(probabilities: NDArray[np.floating], pixels: NDArray[np.uint8]) -> Distribution:
    """Counts pictures and their answers.

    Args:
        probabilities: [N, K].
        pixels: uint8 [N, H, W, C], as the model was given them.
    """
    brightness, contrast = brightness_and_contrast(pixels)
    return Distribution(
        images=len(probabilities),
        confidence=_as_tuple(count_confidence(probabilities)),
        predictions=_as_tuple(count_predictions(probabilities)),
        brightness=_as_tuple(count_brightness(brightness)),
        contrast=_as_tuple(count_contrast(contrast)),
    )


def add(one: Distribution, other: Distribution) -> Distribution:
    """Returns the distribution of all pictures of two, of the same model."""
    summed = {
        name: tuple(
            left + right
            for left, right in zip(getattr(one, name), getattr(other, name), strict=True)
        )
        for name in HISTOGRAMS
    }
    return Distribution(images=one.images + other.images, **summed)


def count_confidence(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Histogram [10] of the largest probability of each row of [N, K]."""
    return _histogram(probabilities.max(axis=1), CONFIDENCE_EDGES)


def count_predictions(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Number of rows [K] of [N, K] in which a class is the most probable, the first of equals."""
    counts: NDArray[np.int64] = np.bincount(
        probabilities.argmax(axis=1), minlength=probabilities.shape[1]
    )
    return counts


def count_brightness(brightness: NDArray[np.floating]) -> NDArray[np.int64]:
    """Histogram [10] of pictures' brightness [N]."""
    return _histogram(brightness, BRIGHTNESS_EDGES)


def count_contrast(contrast: NDArray[np.floating]) -> NDArray[np.int64]:
    """Histogram [10] of pictures' contrast [N]."""
    return _histogram(contrast, CONTRAST_EDGES)


def brightness_and_contrast(
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the brightness [N] in 0..1 and the contrast [N] in 0..0.5 of uint8 [N, H, W, C].

    The sums are whole numbers, so that a picture's figures do not depend on its neighbours.
    """
    channels = pixels.shape[3]
    level = pixels[..., 0].astype(np.uint32)
    for channel in range(1, channels):
        level += pixels[..., channel]
    size = level[0].size if len(level) else 1
    total = level.sum(axis=(1, 2), dtype=np.uint64).astype(np.float64)
    np.multiply(level, level, out=level)
    squares = level.sum(axis=(1, 2), dtype=np.uint64).astype(np.float64)
    mean = total / size
    variance = np.maximum(squares / size - mean**2, 0.0)
    white = 255.0 * channels
    return mean / white, np.sqrt(variance) / white


def population_stability_index(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Says how far two histograms over the same bins are apart: 0 if they are equal.

    PSI = Σ (aᵢ − eᵢ) · ln(aᵢ / eᵢ), where eᵢ and aᵢ are the shares of bin i: the symmetrised
    Kullback-Leibler divergence (Siddiqi 2006, "Credit Risk Scorecards"; Yurdakul 2018,
    "Statistical Properties of Population Stability Index", Western Michigan University). Each
    share is smoothed to (nᵢ + ½) / (N + ½·B) for B bins, so that an empty bin counts as a rare one.

    By custom less than 0.1 is no drift and more than 0.25 a large one. Chance alone gives about
    (B − 1)·(1/N + 1/M) for N and M pictures (Yurdakul), so a few dozen of them say nothing.

    Args:
        expected: counts of the reference.
        actual: counts of what is held against it.

    Returns:
        a number ≥ 0; not-a-number where one of the two has counted nothing.

    Raises:
        ValueError: the histograms have different numbers of bins.
    """
    if len(expected) != len(actual):
        raise ValueError(f"histograms of {len(expected)} and {len(actual)} bins")
    if not sum(expected) or not sum(actual):
        return float("nan")
    before, after = _shares(expected), _shares(actual)
    return float(np.sum((after - before) * np.log(after / before)))


def _shares(counts: Sequence[int]) -> NDArray[np.float64]:
    smoothed = np.asarray(counts, np.float64) + _SMOOTHING
    shares: NDArray[np.float64] = smoothed / smoothed.sum()
    return shares


def _histogram(values: NDArray[np.floating], edges: Sequence[float]) -> NDArray[np.int64]:
    # Rounding may put a probability a little above 1; one that is no number counts as 0.
    inside = np.clip(np.nan_to_num(values), edges[0], edges[-1])
    places = np.searchsorted(edges, inside, side="right") - 1
    counts: NDArray[np.int64] = np.bincount(
        np.minimum(places, len(edges) - 2), minlength=len(edges) - 1
    )
    return counts


def _as_tuple(counts: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(counts.tolist())
