"""Gateways that answer as a test says, and both clients behind one function."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from client import AsyncClient, Client, Retry

Handler = Callable[[httpx.Request], httpx.Response]

URL = "http://gateway"
AT_ONCE = Retry(first_seconds=0.0)
CAT = {"label": "cat", "probability": 0.75, "top_k": [{"label": "cat", "probability": 0.75}]}
OK = {"model": "pets", "version": "3", "results": [CAT]}


def problem(kind: str, status: int, *, retryable: bool = False) -> dict[str, Any]:
    return {
        "type": f"urn:lince:problem:{kind}",
        "title": "What kind it is",
        "status": status,
        "detail": "what happened",
        "retryable": retryable,
    }


def refusal(kind: str, status: int, **headers: str) -> httpx.Response:
    return httpx.Response(
        status,
        content=json.dumps(problem(kind, status)),
        headers={"Content-Type": "application/problem+json", **headers},
    )


def answering(content: object, status: int = 200) -> Handler:
    return lambda _: httpx.Response(status, json=content)


def parts(request: httpx.Request) -> list[bytes]:
    """The images of a request, however they are sent."""
    kind = request.headers["Content-Type"]
    if kind == "application/octet-stream":
        return [request.content]
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    return [
        part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        for part in request.content.split(boundary)[1:-1]
    ]


def labelling(request: httpx.Request) -> httpx.Response:
    """Answers for each image its own bytes as label."""
    results = [{"label": part.decode(), "probability": 1.0} for part in parts(request)]
    return httpx.Response(200, json={**OK, "results": results})


class Script:
    """Answers or errors, one for each request; the requests are kept."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        # A response belongs to one request; a test may name it more than once.
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


class Trickle(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that never ends."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" " * 100_000

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b" " * 1000


def ask(
    kind: type[Client | AsyncClient],
    handler: Handler,
    method: str,
    *arguments: object,
    settings: dict[str, Any] | None = None,
    **options: object,
) -> Any:
    """Calls a method of a client, blocking or not, at a gateway that answers with `handler`."""
    given = {"retry": AT_ONCE, **(settings or {}), "transport": httpx.MockTransport(handler)}

    async def ask_loop() -> Any:
        async with AsyncClient(URL, **given) as client:
            return await getattr(client, method)(*arguments, **options)

    if kind is AsyncClient:
        return asyncio.run(ask_loop())
    with Client(URL, **given) as client:
        return getattr(client, method)(*arguments, **options)
