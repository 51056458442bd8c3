"""What every answer's head says."""

import pytest

from contract.settings import Settings
from server.security.answer_headers import AnswerHeaders

PLAIN = AnswerHeaders(Settings())
TYPES = ["application/json", "application/problem+json", "image/png", "text/plain", "text/html", ""]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "BREW"])
def test_always(content_type: str, method: str) -> None:
    pairs = PLAIN.of(method, content_type, None)
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    kept = method != "POST" and content_type != "application/problem+json"
    assert headers.get("cache-control") == (None if kept else "no-store")
    assert not [name for name in headers if name.startswith("access-control") or name == "vary"]
    assert "strict-transport-security" not in headers


def test_pages_load_from_here_alone() -> None:
    policy = dict(PLAIN.of("GET", "text/html; charset=utf-8", None))["content-security-policy"]
    assert policy.split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]


@pytest.mark.parametrize("content_type", TYPES)
def test_hsts_where_it_is_asked_for(content_type: str) -> None:
    headers = dict(AnswerHeaders(Settings(hsts_seconds=600)).of("GET", content_type, None))
    assert headers["strict-transport-security"] == "max-age=600"


def test_cors() -> None:
    headers = AnswerHeaders(Settings(cors_origins=("https://shop.example",)))
    assert dict(headers.of("GET", "", None))["vary"] == "Origin"
    other = dict(headers.of("GET", "", "https://evil.example"))
    assert other["vary"] == "Origin"
    assert "access-control-allow-origin" not in other
    shop = dict(headers.of("GET", "", "https://shop.example"))
    assert shop["access-control-allow-origin"] == "https://shop.example"
