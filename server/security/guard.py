"""The check of a request by its head alone, so that its body need not be read to refuse it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from contract.settings import Settings
from server.problems import RATE_LIMITED, UNAUTHORIZED, Problem
from server.security.key_ring import Holder, KeyRing
from server.security.rates import Buckets

#: Where a front puts the caller that it has checked, in the WSGI environ.
CALLER = "lince.caller"

# What answers without a key: probes, and what a browser needs before it can send one.
_PUBLIC_PATHS = frozenset(
    (
        "/",
        "/docs",
        "/favicon.ico",
        "/livez",
        "/openapi.json",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
    )
)
_PUBLIC_FOLDERS = ("/docs/", "/page/")


class Headers(Protocol):
    """A request's headers; names in lower case are found."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True)
class Caller:
    """Who sends a request: the name of their key, empty where none is asked for."""

    name: str = ""


_ANYBODY = Caller()


class Guard:
    """Lets a request pass, or says why not.

    Args:
        keys: None lets everybody pass.
        buckets: what the keys' rates are counted in.
    """

    def __init__(self, keys: KeyRing | None, buckets: Buckets) -> None:
        self._keys = keys
        self._buckets = buckets

    def check(self, headers: Headers, path: str, method: str = "GET") -> Caller:
        """Returns who calls.

        It takes a token of the key's rate, so call it once for a request.

        Args:
            headers: the request's.
            path: without the query, percent-decoded.

        Raises:
            Problem: there is no key, it is unknown, or it calls too often.
        """
        if self._keys is None or is_public(path, method):
            return _ANYBODY
        secret = _presented(headers)
        if not secret:
            raise _unauthorized("an API key is needed: Authorization: Bearer KEY, or X-API-Key")
        holder = self._keys.find(secret)
        if holder is None:
            raise _unauthorized(
                "the API key is not one of this gateway's", ', error="invalid_token"'
            )
        self._count(holder)
        return Caller(holder.name)

    def _count(self, holder: Holder) -> None:
        if holder.rate is None:
            return
        seconds = self._buckets.take(holder.digest, holder.rate)
        if seconds:
            raise Problem(
                RATE_LIMITED,
                f"this API key may call {holder.rate.per_second:g} times a second",
                headers=(("retry-after", str(math.ceil(seconds))),),
                client=holder.name,
            )


def make_guard(settings: Settings, buckets: Buckets | None = None) -> Guard:
    """Makes the guard that the settings ask for.

    Args:
        buckets: shared with other processes; None makes some for this process alone.

    Raises:
        KeyFileError: the file of keys is missing or broken.
    """
    path = settings.api_keys_file
    keys = None if path is None else KeyRing(path, settings.rate)
    return Guard(keys, buckets or Buckets())


def is_public(path: str, method: str) -> bool:
    """Tells whether a request is answered without a key.

    OPTIONS is: browsers ask it without one before they send a page's request to another origin.
    """
    return method == "OPTIONS" or path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDERS)


def _presented(headers: Headers) -> str:
    """The key that a request brings. A proxy may use Authorization for itself, so X-API-Key is
    looked at first."""
    secret = headers.get("x-api-key")
    if secret is None:
        scheme, _, secret = (headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            return ""
    return secret.strip()


def _unauthorized(detail: str, more: str = "") -> Problem:
    challenge = ("www-authenticate", f'Bearer realm="lince"{more}')
    return Problem(UNAUTHORIZED, detail, headers=(challenge,))
