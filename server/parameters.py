"""Parameters of requests: text from a query or a form, or JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.problems import BAD_PARAMETER, Problem

#: Labels in an answer where the caller does not say how many.
DEFAULT_TOP_K = 5

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Options:
    """What the caller wants to see of each image's probabilities.

    Attributes:
        top_k: most labels in the ranked list.
        threshold: the least probability of a label in it.
        probabilities: whether all of them are answered, too.
    """

    top_k: int = DEFAULT_TOP_K
    threshold: float = 0.0
    probabilities: bool = False


#: The names of the parameters of `:classify`.
NAMES = ("top_k", "threshold", "probabilities")


def options(given: Mapping[str, Any]) -> Options:
    """Reads the parameters of `:classify`; what isn't there, or is null, has its default.

    Raises:
        Problem: a value is wrong.
    """
    return Options(
        top_k=whole_number(given, "top_k", DEFAULT_TOP_K),
        threshold=share(given, "threshold", 0.0),
        probabilities=flag(given, "probabilities"),
    )


def whole_number(given: Mapping[str, Any], name: str, default: int) -> int:
    """Reads a whole number of at least 1.

    Raises:
        Problem: it is none.
    """
    value = given.get(name)
    if value is None:
        return default
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise _wrong(name, value, "a whole number of at least 1")
    return number


def share(given: Mapping[str, Any], name: str, default: float) -> float:
    """Reads a number from 0 to 1.

    Raises:
        Problem: it is none.
    """
    value = given.get(name)
    if value is None:
        return default
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise _wrong(name, value, "a number from 0 to 1")
    return number


def flag(given: Mapping[str, Any], name: str) -> bool:
    """Reads true or false; false if it isn't there.

    Raises:
        Problem: it is neither.
    """
    value = given.get(name)
    if value is None:
        return False
    found = _FLAGS.get(str(value).lower())
    if found is None:
        raise _wrong(name, value, "true or false")
    return found


def _wrong(name: str, value: object, expected: str) -> Problem:
    return Problem(BAD_PARAMETER, f"{name}={str(value)[:50]}: {expected} is expected")
