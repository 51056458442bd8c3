"""The one error of this package: a status and a text, as a caller of the API sees them.

    ServingError
    └── (no subclasses: the status code tells the kinds apart, as on the wire)

This module knows nothing of TensorFlow, so that flags and configuration can be read without it.
"""

from collections.abc import Iterable

import grpc

TEXT_LIMIT = 1024
"""Longest error text sent, TensorFlow Serving's limit: gRPC carries it in a header."""

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A failed call or load. `str()` gives `CODE: text`, the form that logs and start-up use."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code.name}: {self.text}"

    @property
    def number(self) -> int:
        """The code as `tensorflow.error.Code` and gRPC number it."""
        return int(self.code.value[0])


def invalid_argument(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, text)


def not_found(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.NOT_FOUND, text)


def failed_precondition(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, text)


def unimplemented(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.UNIMPLEMENTED, text)


def from_number(number: int, text: str) -> ServingError:
    """An error from a numeric code; a number that gRPC doesn't know becomes UNKNOWN."""
    return ServingError(_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN), text)


def cut(text: str) -> str:
    """The text as it may be sent: at most TEXT_LIMIT characters and a mark of the cut."""
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "...TRUNCATED"


def names(items: Iterable[str]) -> str:
    """`a,b` in order: how TensorFlow Serving lists names in its error texts."""
    return ",".join(sorted(items))
