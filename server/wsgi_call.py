"""One call of a WSGI application with a request that is there as a whole."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        path: percent-decoded.
        headers: names in lower case, values as they were sent; one name may come again.
        client: host and port of the peer, `host:port`.
    """

    method: str
    path: str
    query: str
    scheme: str
    http_version: str
    client: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def environ(request: Request, more: dict[str, Any]) -> dict[str, Any]:
    """Returns the request as PEP 3333 wants it, with `more` beside."""
    host, _, port = request.client.rpartition(":")
    made: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # PEP 3333: text whose code points are the bytes of the UTF-8.
        "PATH_INFO": request.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": f"HTTP/{request.http_version}",
        "REMOTE_ADDR": host or request.client,
        "REMOTE_PORT": port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in request.headers:
        key = _key(name)
        # Repeated headers are one, with commas between; the body's length is what has arrived.
        made[key] = f"{made[key]},{value}" if key in made else value
    made["CONTENT_LENGTH"] = str(len(request.body))
    return made | more


def _key(name: str) -> str:
    if name == "content-type":
        return "CONTENT_TYPE"
    return "HTTP_" + name.upper().replace("-", "_")


def call(app: App, environ: dict[str, Any]) -> Answer:
    """Runs the application and returns its whole answer."""
    begun: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _info: Any = None) -> None:
        begun[:] = status, headers

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = begun
    return Answer(int(status[:3]), headers, body)
