"""The errors of the client.

ClientError                       base
├── GatewayAwayError              no connection
│   └── DeadlineError             no answer in time
├── BadAnswerError                an answer that is none of a gateway
├── ImageInputError               what was given as an image can't be sent as one
└── ProblemError                  the gateway answered with a problem: status, type and detail
    ├── ImageError                the image is at fault; another may pass
    │   ├── NotAnImageError
    │   ├── BrokenImageError
    │   ├── ImageTooLargeError
    │   ├── BodyTooLargeError
    │   └── NoImageError
    ├── RequestError              the request is at fault; it fails however often it is sent
    │   ├── BadBodyError
    │   ├── BadParameterError
    │   ├── BodyTooSlowError
    │   ├── MethodNotAllowedError
    │   ├── NotAClassifierError
    │   ├── NotExplainableError
    │   ├── NotFoundError
    │   │   ├── UnknownLabelError
    │   │   ├── UnknownModelError
    │   │   └── UnknownVersionError
    │   ├── TooManyImagesError
    │   ├── UnauthorizedError
    │   └── UnsupportedMediaTypeError
    ├── BusyError                 it may pass later; the client has tried several times
    │   ├── OverloadedError
    │   ├── RateLimitedError
    │   ├── UnavailableError
    │   └── ModelTimeoutError
    └── FailureError              the gateway or the model is at fault
        ├── BadModelAnswerError
        └── InternalError

A kind of problem that this version does not know is a plain ProblemError.
"""

from __future__ import annotations

from functools import partial
from typing import Any


class ClientError(Exception):
    """Base of all errors of this package."""


class GatewayAwayError(ClientError):
    """The gateway can't be reached, or did not answer in time."""


class DeadlineError(GatewayAwayError):
    """The call's deadline passed before the gateway had answered."""


class BadAnswerError(ClientError):
    """What answered is no gateway, or another version of it."""


class ImageInputError(ClientError, ValueError):
    """An array or an image in memory that can't be encoded, or Pillow is missing for it."""


class ProblemError(ClientError):
    """The gateway answered with a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        type: stable identifier of the kind of problem.
        title: of the kind.
        detail: of this occurrence.
        retryable: whether the same request may succeed later.
        request_id: what the gateway's log has this request under, if it said so.
        retry_after: seconds that the gateway asks to wait before another try, if it said so.
    """

    def __init__(
        self,
        *,
        status: int,
        type: str,  # noqa: A002
        title: str,
        detail: str,
        retryable: bool,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.retryable = retryable
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """The last part of the type: a name in `KINDS`, unless the gateway is newer."""
        return self.type.rpartition(":")[2]

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled with their text alone; these travel between processes whole.
        again = partial(
            self.__class__,
            status=self.status,
            type=self.type,
            title=self.title,
            detail=self.detail,
            retryable=self.retryable,
            request_id=self.request_id,
            retry_after=self.retry_after,
        )
        return again, ()


class ImageError(ProblemError):
    """The image is at fault. In the answer to a list it takes the place of the image's result."""


class NotAnImageError(ImageError):
    """The bytes are in no known image format."""


class BrokenImageError(ImageError):
    """The image is truncated or corrupt."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the gateway allows."""


class BodyTooLargeError(ImageError):
    """The image has more bytes than the gateway allows in a request."""


class NoImageError(ImageError):
    """The image is empty: it has no bytes."""


class RequestError(ProblemError):
    """The request is at fault: it would fail again."""


class BadBodyError(RequestError):
    """The body can't be read."""


class BadParameterError(RequestError):
    """A parameter is wrong."""


class BodyTooSlowError(RequestError):
    """The body arrived too slowly."""


class MethodNotAllowedError(RequestError):
    """The address does not take this method: another version of the gateway."""


class NotAClassifierError(RequestError):
    """The model gives features or numbers, not classes."""


class NotExplainableError(RequestError):
    """The model was exported without heat maps."""


class NotFoundError(RequestError):
    """There is nothing at this address."""


class UnknownLabelError(NotFoundError):
    """The model has no version with this label."""


class UnknownModelError(NotFoundError):
    """The gateway serves no model of this name."""


class UnknownVersionError(NotFoundError):
    """The model has no such version."""


class TooManyImagesError(RequestError):
    """More images than the gateway allows in a request; the client splits lists by itself."""


class UnauthorizedError(RequestError):
    """The API key is missing or wrong."""


class UnsupportedMediaTypeError(RequestError):
    """The gateway takes no body of this type."""


class BusyError(ProblemError):
    """The same request may pass later."""


class OverloadedError(BusyError):
    """The gateway has as many requests as it takes at a time."""


class RateLimitedError(BusyError):
    """This caller has asked more often than the gateway allows it."""


class UnavailableError(BusyError):
    """The model is not available now."""


class ModelTimeoutError(BusyError):
    """The model took too long."""


class FailureError(ProblemError):
    """The gateway or the model is at fault."""


class BadModelAnswerError(FailureError):
    """The model's answer makes no sense."""


class InternalError(FailureError):
    """The gateway failed; its log has more, under the request id."""


#: Every kind of problem: the last part of its type, its HTTP status and its error.
KINDS: dict[str, tuple[int, type[ProblemError]]] = {
    "not-an-image": (400, NotAnImageError),
    "broken-image": (400, BrokenImageError),
    "image-too-large": (400, ImageTooLargeError),
    "bad-body": (400, BadBodyError),
    "unauthorized": (401, UnauthorizedError),
    "not-found": (404, NotFoundError),
    "unknown-model": (404, UnknownModelError),
    "unknown-version": (404, UnknownVersionError),
    "unknown-label": (404, UnknownLabelError),
    "method-not-allowed": (405, MethodNotAllowedError),
    "body-too-slow": (408, BodyTooSlowError),
    "body-too-large": (413, BodyTooLargeError),
    "unsupported-media-type": (415, UnsupportedMediaTypeError),
    "no-image": (422, NoImageError),
    "too-many-images": (422, TooManyImagesError),
    "bad-parameter": (422, BadParameterError),
    "not-a-classifier": (422, NotAClassifierError),
    "not-explainable": (422, NotExplainableError),
    "overloaded": (429, OverloadedError),
    "rate-limited": (429, RateLimitedError),
    "internal-error": (500, InternalError),
    "bad-model-answer": (502, BadModelAnswerError),
    "unavailable": (503, UnavailableError),
    "timeout": (504, ModelTimeoutError),
}


def error_of(problem_type: str) -> type[ProblemError]:
    """Returns the error's class for a problem's type; the base for a type not in the table."""
    return KINDS.get(problem_type.rpartition(":")[2], (0, ProblemError))[1]
