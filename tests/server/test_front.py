"""The HTTP front: what it reads, what it refuses, and what the application sees of it."""

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from contract.settings import Settings
from server.arrival import KEY
from server.front import Front
from server.greenlets import Threads
from tests.server.figures import Growth


@dataclass
class Scope:
    """A request's head, as granian gives it."""

    method: str = "POST"
    path: str = "/x"
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    http_version: str = "1.1"
    client: str = "127.0.0.1:4711"


@dataclass
class Protocol:
    """A request's body, as it arrives, and the answer."""

    chunks: Iterable[bytes] = ()
    pause: float = 0.0
    breaks_off: bool = False
    until: asyncio.Event | None = None  # the body does not end before
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    at_once: bool = False  # whether it was asked for the whole body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(self.pause)
            yield chunk
        if self.until:
            await self.until.wait()
        if self.breaks_off:
            raise RuntimeError("closed")

    async def __call__(self) -> bytes:
        self.at_once = True
        return b"".join([chunk async for chunk in self])

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, dict(headers), body

    @property
    def problem(self) -> str:
        return str(json.loads(self.body)["type"]).rpartition(":")[2]


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def settings(**values: Any) -> Settings:
    return Settings(**{"threads": 1, "max_waiting": 1, "max_body_bytes": 2000, **values})


def ask(front: Front, scope: Scope, protocol: Protocol) -> Protocol:
    asyncio.run(front.__rsgi__(scope, protocol))
    return protocol


def head(length: int) -> Scope:
    return Scope(headers={"content-length": str(length)})


def make(app: Any = echo, stopping: bool = False, **values: Any) -> Front:
    return Front(app, settings(**values), lambda: stopping)


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_in_pieces_arrives_whole(declared: bool) -> None:
    headers = {"content-length": "6"} if declared else {"transfer-encoding": "chunked"}
    answer = ask(make(), Scope(headers=headers), Protocol([b"abc", b"", b"def"]))
    assert (answer.status, answer.body) == (200, b"abcdef")
    assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("length", "version", "at_once"),
    [(1000, "1.1", True), (1000, "2", False), (1001, "1.1", False)],
    ids=["half of the room", "HTTP/2", "more"],
)
def test_bodies_for_which_there_is_room_are_read_at_once(
    length: int, version: str, at_once: bool
) -> None:
    """A connection of HTTP/2 may bring any number of bodies."""
    scope = head(length)
    scope.http_version = version
    answer = ask(make(max_buffered_bytes=2000), scope, Protocol([b"12345", b"6" * (length - 5)]))
    assert (answer.status, answer.body) == (200, b"12345" + b"6" * (length - 5))
    assert answer.at_once == at_once


def test_for_small_bodies_of_all_connections_there_is_room() -> None:
    front = make(max_buffered_bytes=2000, max_connections=10)

    async def scenario() -> list[Protocol]:
        end = asyncio.Event()
        silent = Protocol(until=end)
        task = asyncio.create_task(front.__rsgi__(head(1000), silent))
        await asyncio.sleep(0)
        small, larger = Protocol([b"x" * 100]), Protocol([b"x" * 101])
        await front.__rsgi__(head(100), small)
        await front.__rsgi__(head(101), larger)
        end.set()
        await task
        return [silent, small, larger]

    silent, small, larger = asyncio.run(scenario())
    assert [item.at_once for item in (silent, small, larger)] == [True, True, False]
    assert (silent.status, silent.problem) == (400, "bad-body")
    assert [item.status for item in (small, larger)] == [200, 200]


def test_what_the_application_sees() -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.update(environ)
        return echo(environ, start_response)

    scope = Scope("PUT", "/a b/é", "q=%20", {"content-type": "text/x", "x-one": "1"})
    ask(make(app, timeout_seconds=5.0), scope, Protocol([b"12"]))
    assert seen["REQUEST_METHOD"] == "PUT"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert seen["QUERY_STRING"] == "q=%20"
    assert seen["CONTENT_TYPE"] == "text/x"
    assert seen["CONTENT_LENGTH"] == "2"
    assert seen["HTTP_X_ONE"] == "1"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert 0 < seen[KEY].deadline.left() <= 5


@pytest.mark.parametrize(
    ("headers", "chunks"),
    [({"content-length": "2001"}, []), ({"transfer-encoding": "chunked"}, [b"x" * 1500] * 2)],
    ids=["declared", "chunked"],
)
def test_too_large(headers: dict[str, str], chunks: list[bytes]) -> None:
    answer = ask(make(), Scope(headers=headers), Protocol(chunks))
    assert (answer.status, answer.problem) == (413, "body-too-large")


def test_too_slow() -> None:
    front = make(body_seconds=0.05)
    answer = ask(front, Scope(headers={"content-length": "9"}), Protocol([b"1"] * 9, pause=0.02))
    assert (answer.status, answer.problem) == (408, "body-too-slow")


@pytest.mark.parametrize("silently", [True, False])
def test_a_body_that_breaks_off(silently: bool) -> None:
    answer = ask(make(), head(9), Protocol([b"1"], breaks_off=not silently))
    assert (answer.status, answer.problem) == (400, "bad-body")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", ""])
def test_a_wrong_timeout_is_named(value: str) -> None:
    answer = ask(make(), Scope(headers={"x-request-timeout": value}), Protocol())
    assert (answer.status, answer.problem) == (422, "bad-parameter")
    assert "X-Request-Timeout" in answer.body.decode()


@pytest.mark.parametrize(("asked", "most"), [("0.5", 0.5), ("100", 5.0), ("inf", 5.0)])
def test_the_nearer_deadline_counts(asked: str, most: float) -> None:
    left = math.inf

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        nonlocal left
        left = environ[KEY].deadline.left()
        return echo(environ, start_response)

    ask(make(app, timeout_seconds=5.0), Scope(headers={"x-request-timeout": asked}), Protocol())
    assert most - 0.4 < left <= most


def test_an_application_that_fails_is_a_500() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise RuntimeError("secret")

    counted = Growth("lince_http_requests_total", route="refused", method="POST", code="500")
    answer = ask(make(app), Scope(headers={"x-request-id": "a1"}), Protocol())
    assert (answer.status, answer.problem) == (500, "internal-error")
    assert b"secret" not in answer.body
    assert (answer.headers["x-request-id"], counted()) == ("a1", 1)


def test_a_gateway_that_stops_sends_its_callers_away() -> None:
    assert ask(make(stopping=True), Scope(), Protocol()).headers["connection"] == "close"


class Blocked:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Semaphore(0)
        self._threads = Threads(4, "blocked")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self.began.release()
            self._threads.run(self.go.wait, 30)
        return echo(environ, start_response)


@pytest.mark.parametrize("path", ["/livez", "/v2/health/live"])
def test_a_model_server_that_hangs_leaves_the_gateway_alive(path: str) -> None:
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] != path:
            go.wait(30)
        return echo(environ, start_response)

    front = make(app)

    async def scenario() -> Protocol:
        asking = [
            asyncio.create_task(front.__rsgi__(Scope("GET", "/readyz"), Protocol()))
            for _ in range(1000)
        ]
        await asyncio.sleep(0)
        probe = Protocol()
        await asyncio.wait_for(front.__rsgi__(Scope("GET", path), probe), 20)
        go.set()
        await asyncio.gather(*asking)
        return probe

    assert asyncio.run(scenario()).status == 200


def test_over_the_limit_is_refused_while_probes_are_answered() -> None:
    app = Blocked()
    front = make(app)

    async def scenario() -> list[Protocol]:
        running = [Protocol(), Protocol()]
        tasks = [asyncio.create_task(front.__rsgi__(Scope(), item)) for item in running]
        await asyncio.to_thread(app.began.acquire)  # one works, one waits
        more, probe = Protocol(), Protocol()
        await front.__rsgi__(Scope(), more)
        await front.__rsgi__(Scope("GET"), probe)
        app.go.set()
        await asyncio.gather(*tasks)
        after = Protocol()
        await front.__rsgi__(Scope(), after)
        return [*running, more, probe, after]

    first, second, more, probe, after = asyncio.run(scenario())
    assert [item.status for item in (first, second, probe, after)] == [200] * 4
    assert (more.status, more.problem) == (429, "overloaded")
    assert int(more.headers["retry-after"]) >= 1
    assert more.headers["x-request-id"]


def test_slow_bodies_take_no_place_but_what_came_of_them_does() -> None:
    front = make(max_buffered_bytes=2500)

    async def scenario() -> list[Protocol]:
        end = asyncio.Event()
        slow = [Protocol([b"x" * 500] * 2, until=end) for _ in range(2)]
        tasks = [asyncio.create_task(front.__rsgi__(head(1000), item)) for item in slow]
        while front._bytes.taken < 2000:
            await asyncio.sleep(0.001)
        quick, too_much, too_long = (
            Protocol([b"1"]),
            Protocol([b"x" * 1000]),
            Protocol([b"x"] * 900),
        )
        await front.__rsgi__(head(1), quick)
        await front.__rsgi__(head(1000), too_much)
        await front.__rsgi__(Scope(), too_long)
        end.set()
        await asyncio.gather(*tasks)
        again = Protocol([b"x" * 1000])
        await front.__rsgi__(head(1000), again)
        return [*slow, quick, again, too_much, too_long]

    *fine, too_much, too_long = asyncio.run(scenario())
    assert [item.status for item in fine] == [200] * 4
    for refused in (too_much, too_long):
        assert (refused.status, refused.problem) == (429, "overloaded")
    assert front._bytes.taken == 0


def test_who_declares_much_and_sends_nothing_keeps_nobody_out() -> None:
    front = make(max_buffered_bytes=4000)

    async def scenario() -> Protocol:
        end = asyncio.Event()
        silent = [Protocol(until=end) for _ in range(10)]
        tasks = [asyncio.create_task(front.__rsgi__(head(2000), item)) for item in silent]
        await asyncio.sleep(0)
        assert front._bytes.taken == 2000  # half of the room
        honest = Protocol([b"x" * 2000])
        await front.__rsgi__(head(2000), honest)
        end.set()
        await asyncio.gather(*tasks)
        return honest

    assert asyncio.run(scenario()).status == 200


def test_a_deadline_that_passes_while_the_body_comes() -> None:
    began = time.monotonic()
    answer = ask(
        make(),
        Scope(headers={"content-length": "9", "x-request-timeout": "0.05"}),
        Protocol([b"1"] * 9, pause=0.5),
    )
    assert answer.status == 408
    assert time.monotonic() - began < 4
