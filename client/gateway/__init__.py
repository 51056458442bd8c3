"""A client of Lince's gateway: classify images over HTTP, blocking or with asyncio.

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("boot.png", "fashion-cnn").label)

This package is also the distribution `lince-client`, where it is called `lince_client`: it imports
nothing of the rest of Lince, and itself only relatively.
"""

from .asynchronous import AsyncClient
from .calls import ClassifyOptions, ExplainOptions
from .connection import API_KEY_VARIABLE
from .errors import (
    KINDS,
    BadAnswerError,
    BadBodyError,
    BadModelAnswerError,
    BadParameterError,
    BodyTooLargeError,
    BodyTooSlowError,
    BrokenImageError,
    BusyError,
    ClientError,
    DeadlineError,
    FailureError,
    GatewayAwayError,
    ImageError,
    ImageInputError,
    ImageTooLargeError,
    InternalError,
    MethodNotAllowedError,
    ModelTimeoutError,
    NoImageError,
    NotAClassifierError,
    NotAnImageError,
    NotExplainableError,
    NotFoundError,
    OverloadedError,
    ProblemError,
    RateLimitedError,
    RequestError,
    TooManyImagesError,
    UnauthorizedError,
    UnavailableError,
    UnknownLabelError,
    UnknownModelError,
    UnknownVersionError,
    UnsupportedMediaTypeError,
)
from .images import ImageInput
from .results import Explanation, ListedModel, ModelCard, Ranked, Result, VersionState
from .retry import Retry
from .synchronous import Client
from .version import VERSION

__version__ = VERSION

__all__ = [
    "API_KEY_VARIABLE",
    "KINDS",
    "AsyncClient",
    "BadAnswerError",
    "BadBodyError",
    "BadModelAnswerError",
    "BadParameterError",
    "BodyTooLargeError",
    "BodyTooSlowError",
    "BrokenImageError",
    "BusyError",
    "ClassifyOptions",
    "Client",
    "ClientError",
    "DeadlineError",
    "ExplainOptions",
    "Explanation",
    "FailureError",
    "GatewayAwayError",
    "ImageError",
    "ImageInput",
    "ImageInputError",
    "ImageTooLargeError",
    "InternalError",
    "ListedModel",
    "MethodNotAllowedError",
    "ModelCard",
    "ModelTimeoutError",
    "NoImageError",
    "NotAClassifierError",
    "NotAnImageError",
    "NotExplainableError",
    "NotFoundError",
    "OverloadedError",
    "ProblemError",
    "Ranked",
    "RateLimitedError",
    "RequestError",
    "Result",
    "Retry",
    "TooManyImagesError",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownLabelError",
    "UnknownModelError",
    "UnknownVersionError",
    "UnsupportedMediaTypeError",
    "VersionState",
]
