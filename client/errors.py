"""The errors of the client.

ClientError              base
├── GatewayAwayError     no connection, or no answer in time
├── BadAnswerError       an answer that is none of a gateway
└── ProblemError         the gateway answered with a problem: it has status, type and detail
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of all errors of this package."""


class GatewayAwayError(ClientError):
    """The gateway can't be reached, or did not answer in time."""


class BadAnswerError(ClientError):
    """What answered is no gateway, or another version of it."""


class ProblemError(ClientError):
    """The gateway answered with a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        type: stable identifier of the kind of problem.
        title: of the kind.
        detail: of this occurrence.
        retryable: whether the same request may succeed later.
    """

    def __init__(
        self,
        *,
        status: int,
        type: str,  # noqa: A002
        title: str,
        detail: str,
        retryable: bool,
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.retryable = retryable
