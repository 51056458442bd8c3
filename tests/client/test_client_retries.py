"""What is sent again, after which pause, and that it all ends by the call's deadline."""

import asyncio
import pickle
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from client import (
    AsyncClient,
    BadAnswerError,
    BadModelAnswerError,
    Client,
    DeadlineError,
    GatewayAwayError,
    ModelTimeoutError,
    OverloadedError,
    Retry,
    UnavailableError,
)
from client.gateway.steps import Answer
from tests.client.gateways import OK, URL, Script, Trickle, ask, refusal

Kind = type[Client | AsyncClient]
both = pytest.mark.parametrize("kind", [Client, AsyncClient])
GOOD = httpx.Response(200, json=OK)
PAST = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("no route"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("the server went away"),
    refusal("unavailable", 503),
    refusal("overloaded", 429),
    refusal("rate-limited", 429, **{"Retry-After": "0"}),
    httpx.Response(503, text="<html>a proxy's page</html>"),
    httpx.Response(502, text="<html>a proxy's page</html>"),
]


@both
@pytest.mark.parametrize("first", PAST, ids=repr)
def test_what_may_pass_is_sent_again_whole(
    kind: Kind, first: httpx.Response | httpx.TransportError
) -> None:
    script = Script(first, first, GOOD)
    assert ask(kind, script, "classify", b"x", "pets").label == "cat"
    assert [request.content for request in script.requests] == [b"x"] * 3


@both
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal("bad-model-answer", 502), BadModelAnswerError),
        (refusal("timeout", 504), ModelTimeoutError),
        (httpx.ReadTimeout("slow"), DeadlineError),
        (httpx.UnsupportedProtocol("ftp"), GatewayAwayError),
        (httpx.Response(500, text="?"), BadAnswerError),
    ],
)
def test_what_would_not_pass_is_sent_once(
    kind: Kind, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    script = Script(answer)
    with pytest.raises(error):
        ask(kind, script, "classify", b"x", "pets")
    assert len(script.requests) == 1


@both
@pytest.mark.parametrize("times", [0, 2])
def test_it_is_not_tried_for_ever(kind: Kind, times: int) -> None:
    script = Script(*[httpx.ConnectError("refused")] * 9)
    retry = {"retry": Retry(times=times, first_seconds=0.0)}
    with pytest.raises(GatewayAwayError, match=f"{URL}: refused"):
        ask(kind, script, "models", settings=retry)
    assert len(script.requests) == times + 1


@both
def test_a_pause_beyond_the_deadline_is_not_begun(kind: Kind) -> None:
    script = Script(refusal("unavailable", 503, **{"Retry-After": "3600"}))
    with pytest.raises(UnavailableError):
        ask(kind, script, "classify", b"x", "pets", timeout=60)


@both
def test_each_request_is_told_the_time_that_is_left(kind: Kind) -> None:
    told: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        told.append(float(request.headers["X-Request-Timeout"]))
        time.sleep(0.01)
        return refusal("overloaded", 429) if len(told) == 1 else httpx.Response(200, json=OK)

    ask(kind, handler, "classify", b"x", "pets", settings={"timeout": 50})
    assert 0 < told[1] < told[0] <= 50


@both
def test_the_time_of_a_phase_is_what_is_left_when_it_begins(kind: Kind) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        times = request.extensions["timeout"]
        assert times["connect"] == 10  # another node may be there
        before = times.get("read")
        time.sleep(0.01)
        assert times.get("read") <= before - 0.01
        assert (times.get("connect"), times.get("other")) == (10, None)
        return httpx.Response(200, json=OK)

    ask(kind, handler, "classify", b"x", "pets", timeout=100)


@both
def test_an_answer_that_never_ends(kind: Kind) -> None:
    endless = httpx.Response(200, stream=Trickle())
    with pytest.raises(DeadlineError, match=r"no answer in time \(0.05 s\)"):
        ask(kind, lambda _: endless, "models", timeout=0.05)


@both
def test_a_gateway_that_says_nothing(kind: Kind) -> None:
    def blocking(url: str) -> None:
        with Client(url, timeout=0.05) as client:
            client.classify(b"x" * 10_000_000, "pets")

    async def in_loop(url: str) -> None:
        async with AsyncClient(url, timeout=0.05) as client:
            await client.classify(b"x" * 10_000_000, "pets")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineError, match=url):
            blocking(url) if kind is Client else asyncio.run(in_loop(url))


def test_a_cancelled_call_leaves_its_client_usable() -> None:
    async def cancel_and_go_on() -> str:
        never = asyncio.Event()

        async def handler(request: httpx.Request) -> httpx.Response:
            if request.content == b"slow":
                await never.wait()
            return httpx.Response(200, json=OK)

        async with AsyncClient(URL, transport=httpx.MockTransport(handler)) as client:
            slow = asyncio.create_task(client.classify(b"slow", "pets"))
            await asyncio.sleep(0)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            return (await client.classify(b"x", "pets")).label

    assert asyncio.run(cancel_and_go_on()) == "cat"


def test_pauses_grow_and_are_random_from_nothing_to_their_limit() -> None:
    retry = Retry(times=10, first_seconds=0.5, most_seconds=3.0)
    refused = httpx.ConnectError("refused")
    limits = [retry.pause(repeated, refused, lambda: 1.0) for repeated in range(11)]
    assert limits == [0.5, 1.0, 2.0, *[3.0] * 7, None]
    assert retry.pause(5, refused, lambda: 0.0) == 0.0
    assert Retry(times=10_000).pause(9_999, refused, lambda: 1.0) == 8.0


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        ("-1", 0, 0),
        ("nan", 0, 0),
        ("9" * 40, 0, 0),
        ("soon", 0, 0),
        ("", 0, 0),
    ],
)
def test_retry_after(text: str, least: float, most: float) -> None:
    answer = Answer(429, httpx.Headers({"Retry-After": text}), b"")
    pause = Retry().pause(0, answer, lambda: 0.0)
    assert pause is not None
    assert least <= pause <= most


@pytest.mark.parametrize(("hours", "least", "most"), [(1, 3500, 3600), (-1, 0, 0)])
def test_retry_after_a_date(hours: int, least: float, most: float) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    test_retry_after(date, least, most)


def test_the_error_says_how_long_to_wait() -> None:
    script = Script(refusal("overloaded", 429, **{"Retry-After": "7"}))
    with pytest.raises(OverloadedError) as caught:
        ask(Client, script, "models", settings={"retry": Retry(times=0)})
    assert caught.value.retry_after == 7
    assert pickle.loads(pickle.dumps(caught.value)).retry_after == 7


def test_the_last_refusal_is_the_error() -> None:
    script = Script(httpx.ConnectError("refused"), *[refusal("overloaded", 429)] * 4)
    with pytest.raises(OverloadedError):
        ask(Client, script, "models")
