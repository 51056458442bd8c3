"""How the gateway is reached: address, certificates, proxy, API key."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from typing import Any

import httpx

from .errors import ClientError, GatewayAwayError
from .version import VERSION

#: The variable that holds the API key where none is given.
API_KEY_VARIABLE = "LINCE_API_KEY"
# At a time; all are kept, since to open one takes longer than to classify an image.
_CONNECTIONS = 256
_KEY = re.compile(r"[!-~]+")  # what a header can hold: ASCII without spaces


def http_options(url: str, api_key: str | None, verify: ssl.SSLContext | bool) -> dict[str, Any]:
    """Returns the arguments of httpx's clients.

    Raises:
        GatewayAwayError: the address is none.
        ClientError: the API key can't be sent.
    """
    address = _address(url)
    return {
        "base_url": address,
        "headers": {"User-Agent": f"lince-client/{VERSION}", **_authorization(api_key)},
        # Reading the certificates takes longer than a request; plain HTTP needs none.
        "verify": verify if address.scheme != "http" else False,
        "limits": httpx.Limits(
            max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
        ),
        # A proxy that the environment names is not asked for this machine itself.
        "trust_env": not _is_loopback(address.host),
    }


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url.rstrip("/"))
        address.host.encode("idna")  # as the resolver will
    except (httpx.InvalidURL, UnicodeError) as error:
        raise GatewayAwayError(f"{url}: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise GatewayAwayError(f"{url!r}: no address of a gateway, like http://127.0.0.1:8000")
    return address


def shown(url: str) -> str:
    """Returns an address for people: without a password that may be in it."""
    try:
        address = httpx.URL(url.rstrip("/"))
        return str(address.copy_with(userinfo=b"")) if address.userinfo else url.rstrip("/")
    except httpx.InvalidURL:
        return url


def _authorization(api_key: str | None) -> dict[str, str]:
    key = (os.environ.get(API_KEY_VARIABLE, "") if api_key is None else api_key).strip()
    if not key:
        return {}
    if not _KEY.fullmatch(key):
        raise ClientError(
            f"the API key ({API_KEY_VARIABLE} or api_key) has characters that no header can hold"
        )
    return {"Authorization": f"Bearer {key}"}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
