"""What a call wants done: the logic is a generator of these steps, and knows no I/O.

`calls` yields a step and is sent what came of it; a client does the steps, blocking or not. So
the requests, the retries and the reading of answers are written once for both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import httpx

from .images import ImageInput

T = TypeVar("T")

# A node that is away must not take the time in which another would have answered.
_CONNECT_SECONDS = 10.0
_SHORTEST_SECONDS = 0.001


@dataclass(frozen=True)
class Deadline:
    """When a call must have ended.

    Attributes:
        seconds: from its beginning.
        at: on the monotonic clock.
    """

    seconds: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Returns the seconds left; 0 or less if none are."""
        return self.at - time.monotonic()

    def hold(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Passes chunks on until the time is over.

        Raises:
            httpx.ReadTimeout: it is over.
        """
        for chunk in chunks:
            if self.left() <= 0:
                raise httpx.ReadTimeout("the answer came too slowly")
            yield chunk


@dataclass(frozen=True)
class Call:
    """A request, but for the time it has: one image is its body, several are parts of a form."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    images: Sequence[bytes] = ()


@dataclass(frozen=True)
class Answer:
    """A response that was read to its end."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the header Retry-After asks to wait, or until its date; None: nothing."""
        text = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            return float(text)
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None


#: What came of a `Send`.
Outcome: TypeAlias = Answer | httpx.RequestError


@dataclass(frozen=True)
class Send:
    """Send the request; the result is an `Outcome`."""

    call: Call
    deadline: Deadline


@dataclass(frozen=True)
class Wait:
    """Let this many seconds pass."""

    seconds: float


@dataclass(frozen=True)
class Load:
    """Read and encode images; the result is a list of bytes."""

    images: Sequence[ImageInput]


Step: TypeAlias = Send | Wait | Load
#: A call under way: it yields steps, takes their results, and returns what was asked for.
Steps: TypeAlias = Generator[Step, Any, T]


def request(http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
    """Builds the request of a step."""
    images = send.call.images
    headers = {"X-Request-Timeout": f"{max(send.deadline.left(), _SHORTEST_SECONDS):.3f}"}
    body: dict[str, Any] = {}
    if len(images) == 1:
        headers["Content-Type"] = "application/octet-stream"
        body["content"] = images[0]
    elif images:
        body["files"] = [("image", ("image", image)) for image in images]
    return http.build_request(
        send.call.method,
        send.call.path,
        params=dict(send.call.parameters),
        headers=headers,
        extensions={"timeout": _TimeLeft(send.deadline)},
        **body,
    )


class _TimeLeft(dict[str, float]):
    """The limits of a request's phases, as httpx takes them.

    Each is looked up when its phase begins, and is what is left then; so the phases together keep
    the deadline.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__({name: self._left(name) for name in ("connect", "read", "write", "pool")})

    def get(self, key: str, default: Any = None) -> Any:
        return self._left(key) if key in self else default

    def _left(self, key: str) -> float:
        left = max(self._deadline.left(), _SHORTEST_SECONDS)
        return min(left, _CONNECT_SECONDS) if key == "connect" else left
