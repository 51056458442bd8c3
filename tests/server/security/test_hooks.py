"""Keys, rates, origins and headers in the gateway's application."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from server.app import create_app
from server.security.guard import CALLER, Caller
from tests.pictures import picture
from tests.server.security.helpers import keys_in, made

URL = "/v1/models/pets:classify"
SHOP = "https://shop.example"
SECRET, KEY = made("shop")
SLOW_SECRET, SLOW_KEY = made("slow", 0.01, 1)
ALLOWED = {"X-API-Key": SECRET}


@pytest.fixture
def guarded(settings: Settings, tmp_path: Path) -> FlaskClient:
    path = keys_in(tmp_path / "keys.json", KEY, SLOW_KEY)
    return create_app(
        replace(settings, api_keys_file=path, cors_origins=(SHOP,), hsts_seconds=60)
    ).test_client()


def test_a_key_opens(guarded: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = guarded.post(URL, data=picture(), headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 200
    assert "shop" in logged(caplog)
    assert SECRET not in logged(caplog)


@pytest.mark.parametrize("path", [URL, "/v1/models", "/metrics", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_no_key_no_answer(guarded: FlaskClient, method: str, path: str) -> None:
    answer = guarded.open(path, method=method)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="lince"'
    assert answer.content_type == "application/problem+json"
    if method != "HEAD":
        assert answer.json["type"] == "urn:lince:problem:unauthorized"
        assert answer.json["retryable"] is False


def test_probes_need_no_key(guarded: FlaskClient) -> None:
    assert guarded.get("/livez").status_code == 200
    assert guarded.get("/readyz").status_code == 503  # one of the models is absent


def test_a_key_used_too_often(guarded: FlaskClient) -> None:
    asked = {"X-API-Key": SLOW_SECRET}
    assert guarded.get("/v1/models", headers=asked).status_code == 200
    answer = guarded.get("/v1/models", headers=asked)
    assert answer.status_code == 429
    assert answer.json["type"] == "urn:lince:problem:rate-limited"
    assert 90 <= int(answer.headers["Retry-After"]) <= 100
    assert len(answer.headers.getlist("Retry-After")) == 1


def test_what_a_front_has_checked_is_not_counted_again(guarded: FlaskClient) -> None:
    for _ in range(3):
        answer = guarded.get("/v1/models", environ_base={CALLER: Caller("slow")})
        assert answer.status_code == 200


def test_no_header_makes_a_caller(guarded: FlaskClient) -> None:
    headers = {"lince.caller": "shop", "lince-caller": "shop", "X-Client": "shop"}
    assert guarded.get("/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("PUT", URL, 405),
        ("POST", URL, 422),
        ("OPTIONS", URL, 200),
    ],
)
@pytest.mark.parametrize("origin", [None, SHOP, "https://evil.example"])
def test_every_answer_has_its_headers(
    guarded: FlaskClient, method: str, path: str, status: int, origin: str | None
) -> None:
    headers = ALLOWED | ({"Origin": origin} if origin else {})
    answer = guarded.open(path, method=method, headers=headers)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Strict-Transport-Security"] == "max-age=60"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Origin" in answer.vary
    assert answer.headers.get("Access-Control-Allow-Origin") == (SHOP if origin == SHOP else None)
    assert "Access-Control-Allow-Credentials" not in answer.headers
    names = [name.lower() for name in answer.headers.keys()]  # noqa: SIM118
    assert len(names) == len(set(names))


def test_a_refusal_can_be_read_by_the_page_that_called(guarded: FlaskClient) -> None:
    answer = guarded.get("/v1/models", headers={"Origin": SHOP})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("origin", "asked", "status"),
    [(SHOP, "POST", 204), (SHOP, None, 200), ("https://evil.example", "POST", 200)],
)
def test_preflight(guarded: FlaskClient, origin: str, asked: str | None, status: int) -> None:
    headers = {"Origin": origin}
    if asked:
        headers |= {
            "Access-Control-Request-Method": asked,
            "Access-Control-Request-Headers": "x-api-key,content-type",
        }
    answer = guarded.options(URL, headers=headers)
    assert answer.status_code == status
    allowed = answer.headers.get("Access-Control-Allow-Headers", "").lower()
    assert ("x-api-key" in allowed) == (status == 204)
    assert ("Access-Control-Allow-Methods" in answer.headers) == (status == 204)
    assert ("Access-Control-Allow-Origin" in answer.headers) == (origin == SHOP)
    assert not answer.data


def test_forwarded_headers_change_nothing(
    guarded: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No address is trusted, shown or counted, so there is nothing that a proxy need vouch for."""
    forged = {
        "X-Forwarded-For": "192.0.2.66",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=192.0.2.66;host=evil.example",
        "X-Real-Ip": "192.0.2.66",
        "Host": "evil.example",
    }
    with caplog.at_level(logging.DEBUG):
        for path in ("/v1/models", "//v1/models", "/nowhere", "/livez"):
            answer = guarded.get(path, headers=ALLOWED | forged)
            whole = f"{answer.headers}{answer.text}"
            assert "evil" not in whole
            assert "192.0.2" not in whole
    assert "evil" not in logged(caplog)
    assert "192.0.2" not in logged(caplog)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, with members that a formatter would add."""
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
