"""A canary: a share of a model's requests that goes to the version with a label."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

#: What TensorFlow Serving takes as the label of a version.
LABEL = re.compile(r"[A-Za-z0-9_]+")

_FORM = re.compile(r"([^=:]+)=([A-Za-z0-9_]+):([0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True)
class Canary:
    """The share of one model.

    Attributes:
        model: name of the model.
        label: of the version that gets the share.
        percent: of the requests that name neither version nor label, 0 to 100.
    """

    model: str
    label: str
    percent: float

    def takes(self, key: str) -> bool:
        """Whether a request with this key goes to the canary; the same key always goes there."""
        digest = hashlib.blake2b(f"{self.model}\0{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.percent / 100 * 2**64


def parse(text: str) -> Canary:
    """Reads `model=label:percent`.

    Raises:
        ValueError: it has another form, or the percentage is over 100.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} has not the form model=label:percent")
    canary = Canary(found[1], found[2], float(found[3]))
    if canary.percent > 100:
        raise ValueError(f"{text!r} is more than 100 percent")
    return canary
