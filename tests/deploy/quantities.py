"""Kubernetes' and Compose's ways to write sizes and CPUs."""

import math

from contract.settings import Settings

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 2**10, "m": 2**20, "g": 2**30}


def to_bytes(text: str) -> int:
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text)


def to_cpus(text: str | float) -> float:
    text = str(text)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def whole_cpus(text: str | float) -> int:
    """What a resourceFieldRef without a divisor makes of CPUs."""
    return math.ceil(to_cpus(text))


_BYTES_PER_PIXEL = 25  # measured: a PNG with transparency is the worst
_COPIES_OF_BODY = 2  # as JSON, and decoded from base64; as it came it is held before


def gateway_memory(settings: Settings, cpus: float) -> int:
    """The most bytes that a gateway with so many CPUs may need."""
    working = settings.working or max(1, math.ceil(cpus) // settings.workers)
    bodies = settings.max_buffered_bytes
    bodies += settings.threads * _COPIES_OF_BODY * settings.max_body_bytes
    pictures = working * _BYTES_PER_PIXEL * settings.max_image_pixels
    return 150 * 2**20 + settings.workers * (bodies + pictures)
