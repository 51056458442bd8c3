"""The two rules of document C: how large a convolution's output is, and how many weights it has."""

from __future__ import annotations

from typing import Literal


def output_size(n: int, f: int, s: int, padding: Literal["valid", "same"]) -> int:
    """floor((N + 2P − F) / S) + 1, document C.

    Args:
        n: side of the input in pixels.
        f: side of the filter.
        s: stride.
        padding: valid is P = 0; same is the padding with which an output of stride 1 is as large
            as the input (2P may be odd: then one pixel more is added behind than before).

    Returns:
        the side of the output.

    Raises:
        ValueError: the filter is larger than the padded input.
    """
    both_sides = max((-(-n // s) - 1) * s + f - n, 0) if padding == "same" else 0
    if n + both_sides < f:
        raise ValueError(f"a filter of {f} does not fit into an input of {n}")
    return (n + both_sides - f) // s + 1


def parameters(f: int, c: int, k: int) -> int:
    """(F·F·C + 1)·K, document C: K filters of F × F × C weights, each with a bias."""
    return (f * f * c + 1) * k
