"""The REST API's sockets: a thread for each connection, bounds on all that a client may hold.

Connections are many and wait cheaply; how many requests are worked on at the same time is
`Rest`'s to say. So a slow client, or one that keeps its connection, takes nobody's turn.
"""

import contextlib
import io
import logging
import socket
import socketserver
import sys
import threading
import time
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, BinaryIO, cast

from server.model_server.errors import invalid_argument
from server.model_server.rest import Reply, Rest, refused
from server.model_server.rest_body import BodyError, declared_length, read_body

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
"""How long a connection may stay open without a request."""

REQUEST_SECONDS = 60.0
"""How long a request may take to arrive, and its answer to be taken, however slowly."""

LINGER_SECONDS = 2.0
"""How long the rest of a refused request is read: closing with bytes unread would reset the
connection, and the client might never see why."""

MOST_CONNECTIONS = 256

_CORS = (
    "Access-Control-Allow-Origin: *",
    "Access-Control-Allow-Methods: POST, GET",
    "Access-Control-Allow-Headers: Content-Type",
)


class Stage(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    READING = "reading"
    ANSWERING = "answering"


class RestServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server with its port bound, not yet answering.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        rest: What answers.

    Raises:
        ServingError: INVALID_ARGUMENT: the address can't be bound.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, rest: Rest) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rest = rest
        self.draining = False
        self._changed = threading.Condition()
        self._stages: dict[Any, Stage] = {}
        self._loop = threading.Thread(
            target=self.serve_forever, args=(0.1,), name="rest-accept", daemon=True
        )
        try:
            super().__init__((host, port), _Connection)
        except OSError as error:
            raise invalid_argument(f"Failed to start HTTP Server at {host}:{port}: {error}") from (
                error
            )

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        self._loop.start()

    def stop_accepting(self) -> None:
        """Take no new connection and end those without a request; waits for no answer."""
        with self._changed:
            self.draining = True
        if self._loop.is_alive():
            self.shutdown()
        self.server_close()
        self._hang_up(Stage.IDLE)

    def drain(self, patience_seconds: float = 30.0) -> None:
        """Finish the requests in flight; call `stop_accepting` before.

        After `patience_seconds` only those that have arrived are waited for.
        """
        with self._changed:
            self._changed.wait_for(self._is_empty, patience_seconds)
        self._hang_up(Stage.READING)
        with self._changed:
            self._changed.wait_for(self._is_empty)

    def enter(self, connection: Any, stage: Stage) -> bool:
        """Note what a connection does; False if it should be closed rather than wait."""
        with self._changed:
            self._stages[connection] = stage
            self._changed.notify_all()
            return not self.draining

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            welcome = not self.draining and len(self._stages) < MOST_CONNECTIONS
            if welcome:
                self._stages[request] = Stage.IDLE
        if welcome:
            super().process_request(request, client_address)
            return
        request.settimeout(1.0)  # This is the thread that all who knock wait for.
        with contextlib.suppress(OSError):
            request.sendall(_message(refused(503, "Too many connections"), closing=True))
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._stages.pop(request, None)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            log.exception("a REST connection failed in an unexpected way")

    def _is_empty(self) -> bool:
        return not self._stages

    def _hang_up(self, stage: Stage) -> None:
        """Let connections at this stage read an end; what they are sending back still goes out."""
        with self._changed:
            for connection in [c for c, s in self._stages.items() if s is stage]:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)


class _Incoming(io.RawIOBase):
    """A socket's bytes up to a deadline; a timeout by `recv` would start anew with each byte."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Connection(BaseHTTPRequestHandler):
    """One connection and its requests, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RestServer
    rfile: io.BufferedReader

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection)
        self.rfile = io.BufferedReader(self._incoming, 2**16)

    def handle(self) -> None:
        # A client that goes away, or that is too slow, is nothing to report.
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def handle_one_request(self) -> None:
        self.close_connection = True
        self._incoming.deadline = time.monotonic() + IDLE_SECONDS
        if not self.rfile.peek(1):
            return
        # Even while draining: the request came before the end, only this thread is late.
        self.server.enter(self.connection, Stage.READING)
        self._incoming.deadline = time.monotonic() + REQUEST_SECONDS
        super().handle_one_request()
        if not self.server.enter(self.connection, Stage.IDLE):
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        try:
            declared_length(self.headers)
        except BodyError as error:
            self.send_error(error.status, error.text)
            return False
        return super().handle_expect_100()

    def _serve(self) -> None:
        try:
            body = read_body(self.headers, cast(BinaryIO, self.rfile))
        except BodyError as error:
            self.send_error(error.status, error.text)
            return
        self.server.enter(self.connection, Stage.ANSWERING)
        self._send(self.server.rest.answer(self.command, self.path, body))

    # Whatever the method, the API's own words say what is wrong with it.
    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse a request that can't be read to its end, and so end the connection."""
        self.close_connection = True
        self._send(refused(int(code), message or _phrase(code)))
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self._incoming.deadline = time.monotonic() + LINGER_SECONDS
        while self.rfile.read1():
            pass

    def _send(self, reply: Reply) -> None:
        if self.server.draining:
            self.close_connection = True
        self.connection.settimeout(REQUEST_SECONDS)
        extra = _CORS if self.server.rest.cors else ()
        head_only = self.command == "HEAD"
        self.connection.sendall(_message(reply, self.close_connection, extra, head_only))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: a line for each request would cost more than the request."""


def _message(
    reply: Reply, closing: bool, extra: tuple[str, ...] = (), head_only: bool = False
) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        f"Connection: {'close' if closing else 'keep-alive'}",
        *extra,
    ]
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head if head_only else head + reply.body


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Client Closed Request"
