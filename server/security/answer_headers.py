"""The headers of every answer that keep a browser from being used against who sits before it."""

from __future__ import annotations

from contract.settings import Settings
from server.problems import CONTENT_TYPE
from server.security.cors import Cors, Pairs

_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
)
_PAGE = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(self), geolocation=(), microphone=()"),
)
# Data, and pictures that someone opens by themselves: nothing in them may load or run.
_DATA = (("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),)
_VARY = (("vary", "Origin"),)
_NO_STORE = (("cache-control", "no-store"),)


class AnswerHeaders:
    """What the settings want in every answer.

    The page at `/` and `/docs` load their own scripts and styles, and talk to this gateway alone.
    """

    def __init__(self, settings: Settings) -> None:
        self.cors = Cors(settings.cors_origins)
        more: Pairs = ()
        if settings.hsts_seconds:
            more = (("strict-transport-security", f"max-age={settings.hsts_seconds}"),)
        self._of_pages = _ALWAYS + _PAGE + more
        self._of_data = _ALWAYS + _DATA + more

    def of(self, method: str, content_type: str, origin: str | None) -> Pairs:
        """Returns an answer's headers; their names are in lower case.

        Args:
            method: of the request.
            content_type: of the answer.
            origin: the request's header Origin.
        """
        pairs = self._of_pages if content_type.startswith("text/html") else self._of_data
        if method == "POST" or content_type == CONTENT_TYPE:
            pairs += _NO_STORE
        if self.cors.varies:
            pairs += _VARY
        if origin is not None:
            pairs += self.cors.answer_headers(origin)
        return pairs
