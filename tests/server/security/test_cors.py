"""Which pages of other origins may call."""

import pytest

from contract.errors import SettingsError
from contract.settings import Settings
from server.security.cors import Cors

SHOP = "https://shop.example"
LISTED = Cors((SHOP, "http://localhost:3000"))


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000"])
def test_listed_origins(origin: str) -> None:
    headers = dict(LISTED.answer_headers(origin))
    assert headers["access-control-allow-origin"] == origin
    exposed = headers["access-control-expose-headers"].split(", ")
    assert {"Retry-After", "Server-Timing", "X-Request-Id"} <= set(exposed)
    preflight = dict(LISTED.preflight_headers(origin, "POST"))
    assert preflight["access-control-allow-methods"] == "GET, POST"
    asked = preflight["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "x-api-key", "content-type", "x-request-timeout"} <= set(asked)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        "https://shop.example.evil.example",
        "https://evil-shop.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example/",
        "https://SHOP.example",
        "https://shop.example, https://evil.example",
    ],
)
@pytest.mark.parametrize("cors", [LISTED, Cors(())])
def test_other_origins(cors: Cors, origin: str | None) -> None:
    assert cors.answer_headers(origin) == ()
    assert cors.preflight_headers(origin, "POST") == ()


@pytest.mark.parametrize("origin", ["https://anyone.example", "null"])
def test_all_origins(origin: str) -> None:
    cors = Cors(("*",))
    assert dict(cors.answer_headers(origin))["access-control-allow-origin"] == "*"
    assert cors.preflight_headers(origin, "POST") != ()
    assert cors.answer_headers(None) == ()


@pytest.mark.parametrize("cors", [LISTED, Cors(("*",)), Cors(())])
@pytest.mark.parametrize("origin", [SHOP, "https://evil.example"])
def test_credentials_never(cors: Cors, origin: str) -> None:
    headers = (*cors.answer_headers(origin), *cors.preflight_headers(origin, "GET"))
    assert "access-control-allow-credentials" not in dict(headers)


def test_caches_hear_of_it() -> None:
    assert LISTED.varies
    assert not Cors(("*",)).varies  # the same for all
    assert not Cors(()).varies


@pytest.mark.parametrize(
    "text",
    [
        "shop.example",
        "https://",
        "https://shop.example/",
        "https://Shop.example",
        "https://a.example https://b.example",
        "https://user@shop.example",
        "null",
        "https://*.example/x",
        f"{SHOP},shop",
    ],
)
def test_what_is_no_origin_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match="LINCE_CORS_ORIGINS="):
        Settings.from_environment({"LINCE_CORS_ORIGINS": text})
