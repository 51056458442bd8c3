"""What can go wrong, as RFC 9457 problem details: one table, stable types, no upstream text.

Problem            one of the kinds below with a detail for the caller
VersionGoneError   the model server no longer has the version that was asked for (never answered
                   to a caller as such: the pixels are made again for the version that it has)
UnknownLabelError  the model server has no such label (the catalog makes a problem of it)
BatchTooLargeError the model server takes fewer images in one call (they are split)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind of problem: the last part of its `type`, its HTTP status, title and whether a
    caller may try the same again."""

    name: str
    status: int
    title: str
    retryable: bool = False

    @property
    def type(self) -> str:
        return f"urn:lince:problem:{self.name}"


NOT_AN_IMAGE = Kind("not-an-image", 400, "The data is not an image")
BROKEN_IMAGE = Kind("broken-image", 400, "The image is truncated or corrupt")
IMAGE_TOO_LARGE = Kind("image-too-large", 400, "The image has too many pixels")
BAD_BODY = Kind("bad-body", 400, "The request body can't be read")
UNAUTHORIZED = Kind("unauthorized", 401, "The request has no API key that is known")
NOT_FOUND = Kind("not-found", 404, "There is nothing at this address")
UNKNOWN_MODEL = Kind("unknown-model", 404, "There is no such model")
UNKNOWN_VERSION = Kind("unknown-version", 404, "The model has no such version")
UNKNOWN_LABEL = Kind("unknown-label", 404, "The model has no version with this label")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "The method is not allowed here")
BODY_TOO_SLOW = Kind("body-too-slow", 408, "The request body came too slowly", retryable=True)
BODY_TOO_LARGE = Kind("body-too-large", 413, "The request body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is of an unknown type")
NO_IMAGE = Kind("no-image", 422, "The request has no image")
TOO_MANY_IMAGES = Kind("too-many-images", 422, "The request has too many images")
BAD_PARAMETER = Kind("bad-parameter", 422, "A parameter is wrong")
NOT_A_CLASSIFIER = Kind("not-a-classifier", 422, "The model does not classify images")
NOT_EXPLAINABLE = Kind("not-explainable", 422, "The model can't explain its answers")
OVERLOADED = Kind("overloaded", 429, "The gateway has too much to do", retryable=True)
RATE_LIMITED = Kind("rate-limited", 429, "The API key is used too often", retryable=True)
INTERNAL_ERROR = Kind("internal-error", 500, "The gateway failed")
BAD_MODEL_ANSWER = Kind("bad-model-answer", 502, "The model's answer makes no sense")
UNAVAILABLE = Kind("unavailable", 503, "The model is not available now", retryable=True)
TIMEOUT = Kind("timeout", 504, "The model took too long", retryable=True)

KINDS = tuple(kind for kind in list(globals().values()) if isinstance(kind, Kind))

#: The media type of problem details.
CONTENT_TYPE = "application/problem+json"

#: Seconds after which a caller may try again when the model is not available.
RETRY_AFTER_SECONDS = 1


class Problem(Exception):  # noqa: N818 - the standard's own name
    """A problem to answer the caller with.

    Attributes:
        kind: which of the table.
        detail: this occurrence, in a sentence.
        headers: what the answer's head says of it, names in lower case.
        client: the name of the API key that was used, where the key itself is the matter.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        client: str = "",
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers
        self.client = client

    def document(self) -> dict[str, Any]:
        """Returns the members of the problem details object."""
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "retryable": self.kind.retryable,
        }


class VersionGoneError(Exception):
    """The model server does not have this version (any more, or yet)."""


class UnknownLabelError(Exception):
    """The model server has no such label, or not this model."""


class BatchTooLargeError(Exception):
    """The model server takes no batch as large as this.

    Attributes:
        most: the images that it takes in one call.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most
