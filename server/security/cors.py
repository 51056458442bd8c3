"""Cross-origin resource sharing: which other origins' pages may call the gateway.

Cookies and a browser's stored credentials are never asked for: whoever calls brings an API key,
which no foreign page has unless someone gave it one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ANY = "*"
_METHODS = "GET, POST"
_REQUEST_HEADERS = ", ".join(
    (
        "Authorization",
        "Content-Type",
        "Inference-Header-Content-Length",
        "X-API-Key",
        "X-Canary-Key",
        "X-Request-Id",
        "X-Request-Timeout",
        "traceparent",
        "tracestate",
    )
)
_ANSWER_HEADERS = ", ".join(
    (
        "Inference-Header-Content-Length",
        "Retry-After",
        "Server-Timing",
        "WWW-Authenticate",
        "X-Model-Track",
        "X-Model-Version",
        "X-Request-Id",
        "traceresponse",
    )
)
# No browser keeps a preflight's answer for longer.
_MOST_SECONDS = "7200"

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cors:
    """The rule.

    Attributes:
        origins: `scheme://host[:port]` each, exactly as browsers send them, or `*` for all.
    """

    origins: Sequence[str]

    @property
    def varies(self) -> bool:
        """Whether an answer depends on the caller's origin, which a cache must know."""
        return bool(self.origins) and _ANY not in self.origins

    def answer_headers(self, origin: str | None) -> Pairs:
        """Returns the headers that let a page of an origin read an answer, none if it may not."""
        allowed = self._allowed(origin)
        if allowed is None:
            return ()
        return (
            ("access-control-allow-origin", allowed),
            ("access-control-expose-headers", _ANSWER_HEADERS),
        )

    def preflight_headers(self, origin: str | None, asked_method: str | None) -> Pairs:
        """Returns what a browser wants to hear before it sends a request; none if that may not.

        Args:
            asked_method: of Access-Control-Request-Method; None for what is no preflight.
        """
        if asked_method is None or self._allowed(origin) is None:
            return ()
        return (
            ("access-control-allow-methods", _METHODS),
            ("access-control-allow-headers", _REQUEST_HEADERS),
            ("access-control-max-age", _MOST_SECONDS),
        )

    def _allowed(self, origin: str | None) -> str | None:
        if origin is None:
            return None
        if _ANY in self.origins:
            return _ANY
        return origin if origin in self.origins else None
