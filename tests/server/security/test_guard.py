"""Who passes by the head of a request alone, and what the others are told."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.settings import Settings
from server.errors import KeyFileError
from server.problems import Problem
from server.security.guard import Guard, is_public, make_guard
from server.security.rates import Buckets
from tests.server.security.helpers import Clock, keys_in, made

PATH = "/v1/models/pets:classify"
SECRET, KEY = made("shop")


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    path = keys_in(tmp_path_factory.mktemp("keys") / "keys.json", KEY)
    return make_guard(Settings(api_keys_file=path))


def refused(guard: Guard, headers: dict[str, str], path: str = PATH) -> Problem:
    with pytest.raises(Problem) as caught:
        guard.check(headers, path, "POST")
    return caught.value


@pytest.mark.parametrize("path", [PATH, "/", "/metrics", "/nowhere"])
def test_without_a_file_everybody_passes(path: str) -> None:
    guard = make_guard(Settings(rate=1))
    for _ in range(9):
        assert guard.check({}, path, "POST").name == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer  {SECRET} "},
        {"x-api-key": SECRET},
        {"x-api-key": f" {SECRET}"},
        {"x-api-key": SECRET, "authorization": "Basic cHJveHk6cHJveHk="},
        {"x-api-key": SECRET, "authorization": "Bearer a-token-of-the-proxy"},
    ],
)
def test_a_key_passes_by_its_name(guard: Guard, headers: dict[str, str]) -> None:
    assert guard.check(headers, PATH, "POST").name == "shop"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": SECRET},
        {"authorization": f"Basic {SECRET}"},
        {"x-api-key": ""},
        {"x-api-key": "  ", "authorization": f"Bearer {SECRET}"},
        {"cookie": f"key={SECRET}"},
    ],
)
def test_no_key(guard: Guard, headers: dict[str, str]) -> None:
    problem = refused(guard, headers)
    assert (problem.kind.name, problem.kind.status) == ("unauthorized", 401)
    assert dict(problem.headers) == {"www-authenticate": 'Bearer realm="lince"'}
    assert SECRET not in str(problem.document())


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {SECRET}x"},
        {"authorization": f"Bearer {SECRET},{SECRET}"},
        {"x-api-key": f"Bearer {SECRET}"},
        {"x-api-key": "wrong", "authorization": f"Bearer {SECRET}"},
        {"x-api-key": KEY.sha256},
        {"x-api-key": "shop"},
        {"x-api-key": "ÿ\x80"},
        {"x-api-key": "a" * 100_000},
    ],
)
def test_a_wrong_key(guard: Guard, headers: dict[str, str]) -> None:
    problem = refused(guard, headers)
    assert problem.kind.name == "unauthorized"
    assert 'error="invalid_token"' in dict(problem.headers)["www-authenticate"]
    assert not [value for value in headers.values() if value in str(problem.document())]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/openapi.json",
        "/page/page.js",
        "/livez",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
    ],
)
def test_public(guard: Guard, path: str) -> None:
    assert guard.check({}, path).name == ""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/livez/",
        "//livez",
        "/LIVEZ",
        "/livez%00",
        "/livez/../v1/models",
        "/metrics",
        "/v1/models",
        "/v1/models/pets",
        "/v2",
        "/v2/models/pets/infer",
        "/pages",
        "/page",
        "/v1/page/x",
        "/docs.html",
        "page/",
    ],
)
def test_all_the_rest_needs_a_key(guard: Guard, path: str) -> None:
    assert refused(guard, {}, path).kind.name == "unauthorized"


def test_browsers_ask_for_options_without_a_key(guard: Guard) -> None:
    assert guard.check({}, PATH, "OPTIONS").name == ""
    assert refused(guard, {}, PATH).kind.name == "unauthorized"


@pytest.mark.parametrize(
    ("rate", "burst", "seconds"), [(10, 3, "1"), (0.4, 1, "3"), (0.01, 1, "100")]
)
def test_a_key_s_rate(tmp_path: Path, rate: float, burst: int, seconds: str) -> None:
    secret, key = made("busy", rate, burst)
    clock = Clock()
    settings = Settings(api_keys_file=keys_in(tmp_path / "keys.json", key, KEY))
    guard = make_guard(settings, Buckets(clock))
    for _ in range(burst):
        assert guard.check({"x-api-key": secret}, PATH, "POST").name == "busy"
    problem = refused(guard, {"x-api-key": secret})
    assert (problem.kind.name, problem.kind.status) == ("rate-limited", 429)
    assert problem.document()["retryable"] is True
    assert dict(problem.headers) == {"retry-after": seconds}
    assert guard.check({"x-api-key": secret}, "/livez").name == ""
    assert guard.check({"x-api-key": SECRET}, PATH).name == "shop"  # another key
    clock.now += int(seconds)
    assert guard.check({"x-api-key": secret}, PATH, "POST").name == "busy"


def test_the_rate_of_the_settings(tmp_path: Path) -> None:
    path = keys_in(tmp_path / "keys.json", KEY)
    guard = make_guard(Settings(api_keys_file=path, rate=1), Buckets(Clock()))
    for _ in range(2):
        guard.check({"x-api-key": SECRET}, PATH)
    assert refused(guard, {"x-api-key": SECRET}).kind.name == "rate-limited"


def test_a_broken_file_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    with pytest.raises(KeyFileError, match=re.escape(f"{path}: line 1")):
        make_guard(Settings(api_keys_file=path))


@given(
    st.dictionaries(st.sampled_from(["authorization", "x-api-key", "origin"]), st.text()),
    st.text(),
    st.text(),
)
def test_any_head_passes_or_is_refused(
    guard: Guard, headers: dict[str, str], path: str, method: str
) -> None:
    try:
        guard.check(headers, path, method)
        passed = True
    except Problem:
        passed = False
    assert passed == is_public(path, method)
