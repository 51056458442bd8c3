"""REST's sockets: bodies in every form, slow and rude clients, the orderly end."""

import gzip
import io
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.model_server import rest_body, rest_http
from server.model_server.errors import ServingError
from server.model_server.manager import Manager, Retries
from server.model_server.rest import Rest, refused
from server.model_server.rest_body import BodyError, read_body
from server.model_server.rest_http import RestServer
from server.ports import free_port
from tests.server.model_server.helpers import PATIENCE, rest_call, rest_running, until
from tests.server.model_server.test_program import refuses, started

MISSING = {"error": "Servable not found for request: Latest(m)"}
PATH = "/v1/models/m:predict"


def headers(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "sent", "expected"),
    [
        ({}, b"rest", b""),
        ({"Content_Length": "4"}, b"body next", b"body"),
        ({"Content_Length": "0004", "Content_Encoding": "identity"}, b"body", b"body"),
        ({"Transfer_Encoding": "chunked"}, b"2\r\nbo\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
         b"bo0123456789"),
        ({"Content_Length": "-1"}, b"", (400, "Bad Content-Length")),
        ({"Content_Length": "4x"}, b"body", (400, "Bad Content-Length")),
        ({"Content_Length": "5"}, b"body", (400, "The body ends early")),
        ({"Content_Length": "9" * 5000}, b"", (413, None)),
        ({"Content_Length": "4", "Transfer_Encoding": "chunked"}, b"", (400, None)),
        ({"Transfer_Encoding": "gzip"}, b"", (400, "Bad Transfer-Encoding")),
        ({"Transfer_Encoding": "chunked"}, b"-1\r\n", (400, "Bad chunk size")),
        ({"Transfer_Encoding": "chunked"}, b"1" * 5000, (400, "The body ends early")),
        ({"Transfer_Encoding": "chunked"}, b"2\r\nboo\r\n", (400, "Bad chunk end")),
        ({"Transfer_Encoding": "chunked"}, b"ffffffff\r\n", (413, None)),
        ({"Transfer_Encoding": "chunked"}, b"0\r\n" + b"a\r\n" * 200, (400, "Too many trailers")),
        ({"Content_Length": "4", "Content_Encoding": "gzip"}, b"body",
         (400, "The body is not gzip")),
        ({"Content_Length": "4", "Content_Encoding": "br"}, b"body", (415, None)),
    ],
)  # fmt: skip
def test_bodies(fields: dict[str, str], sent: bytes, expected: Any) -> None:
    if isinstance(expected, bytes):
        assert read_body(headers(**fields), io.BytesIO(sent)) == expected
        return
    with pytest.raises(BodyError) as caught:
        read_body(headers(**fields), io.BytesIO(sent))
    assert caught.value.status == expected[0]
    assert expected[1] in (None, caught.value.text)


def test_compressed_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(data: bytes) -> bytes:
        fields = headers(Content_Encoding="gzip", Content_Length=str(len(data)))
        return read_body(fields, io.BytesIO(data))

    packed = gzip.compress(b"a" * 2000)
    assert unpack(packed + gzip.compress(b"b")) == b"a" * 2000 + b"b"
    with pytest.raises(BodyError, match="not gzip"):
        unpack(packed[:-9])
    monkeypatch.setattr(rest_body, "MOST_BYTES", 1999)
    with pytest.raises(BodyError, match="more than 1999 bytes"):
        unpack(packed)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["gzip", "chunked"]))
def test_any_bytes_are_a_body_or_refused(sent: bytes, kind: str) -> None:
    fields = {"Transfer_Encoding": "chunked"}
    if kind == "gzip":
        fields = {"Content_Encoding": "gzip", "Content_Length": str(len(sent))}
    status = None
    try:
        read_body(headers(**fields), io.BytesIO(sent))
    except BodyError as error:
        status = error.status
    assert status in (None, 400, 413)


@pytest.fixture
def server() -> Iterator[RestServer]:
    """A server without any model, whose answers are errors all the same."""
    manager = Manager(lambda *_: pytest.fail("nothing to load"), Retries())
    with rest_running(manager) as running:
        yield running


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes, and all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(2**16), b""))


def test_keep_alive(server: RestServer) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        for body in (b'{"inputs": 1}', iter([b'{"inp', b'uts": 1}'])):
            connection.request("POST", PATH, body)
            socket_used = connection.sock
            response = connection.getresponse()
            assert (response.status, json.loads(response.read())) == (404, MISSING)
            assert response.headers["Content-Type"] == "application/json"
            assert connection.sock is socket_used


def test_head_has_no_body(server: RestServer) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        for _ in range(2):
            connection.request("HEAD", "/v1/models/m")
            response = connection.getresponse()
            assert (response.status, response.read()) == (400, b"")


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\xff\n\n", 400, "Bad"),
        (b"GET /v1/models/m HTTP/9.9\r\n\r\n", 505, "Invalid HTTP version"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, ""),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "Too many headers"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "Bad Content-Length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 400, "The body ends early"),
        (
            b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n",
            413,
            "The",
        ),
    ],
)
def test_malformed_http(server: RestServer, sent: bytes, status: int, text: str) -> None:
    head, _, body = exchange(server.port, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in head
    assert json.loads(body)["error"].startswith(text)


def test_a_body_too_large_is_refused_though_it_was_sent(
    server: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_body, "MOST_BYTES", 1000)
    text = "The body has more than 1000 bytes"
    assert rest_call(server.port, "POST", PATH, b"a" * 10**6) == (413, {"error": text})


def test_cross_origin() -> None:
    manager = Manager(lambda *_: pytest.fail("nothing to load"), Retries())
    with (
        rest_running(manager, cors=True) as server,
        closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection,
    ):
        for method, status in (("OPTIONS", 200), ("POST", 404)):
            connection.request(method, PATH, b'{"inputs": 1}')
            response = connection.getresponse()
            response.read()
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Allow-Methods"] == "POST, GET"


def test_slow_clients_are_dropped(server: RestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a byte now and then keeps a connection."""
    monkeypatch.setattr(rest_http, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(rest_http, "REQUEST_SECONDS", 0.5)
    assert exchange_slowly(server.port, 0) == b""
    assert exchange_slowly(server.port, 1000) == b""


def exchange_slowly(port: int, count: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            for _ in range(count):
                connection.sendall(b"a")
                time.sleep(0.02)
        except ConnectionError:
            return b""
        return connection.recv(1)


def test_too_many_connections(server: RestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_http, "MOST_CONNECTIONS", 1)
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/v1/models/m")
        connection.getresponse().read()
        assert b"503 Service Unavailable" in exchange(server.port, b"")
    until(lambda: rest_call(server.port, "GET", "/v1/models/m")[0] == 404)


def test_an_unexpected_error_is_an_answer(
    server: RestServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(Rest, "_answer", fail)
    text = "internal error, see the server's log"
    assert rest_call(server.port, "GET", "/v1/models/m") == (500, {"error": text})
    assert "secret" in caplog.text


def test_error_texts_are_cut() -> None:
    assert len(json.loads(refused(400, "a" * 9999).body)["error"]) == 1024 + len("...TRUNCATED")


def test_a_port_in_use_is_refused(server: RestServer) -> None:
    with pytest.raises(ServingError, match="Failed to start HTTP Server at "):
        RestServer("127.0.0.1", server.port, server.rest)


def test_an_unfinished_request_does_not_hold_up_the_end(server: RestServer) -> None:
    idle, half = (socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(2))
    with idle, half:
        half.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        until(lambda: rest_http.Stage.READING in server._stages.values())
        server.stop_accepting()
        assert idle.recv(1) == b""
        server.drain(patience_seconds=0.1)
        assert refuses(server.port)
        assert b"The body ends early" in b"".join(iter(lambda: half.recv(2**16), b""))


@pytest.mark.integration
def test_from_start_to_drain(publish: Callable[..., Path], tmp_path: Path) -> None:
    """Both lines in order; SIGTERM closes the port and lets a running request finish."""
    publish("two", "1")
    port = free_port()
    flags = ["--port=0", f"--rest_api_port={port}", f"--model_base_path={tmp_path / 'm'}"]
    with started(*flags) as process:
        process.wait_for(rf"^Exporting HTTP/REST API at:localhost:{port} \.\.\.$")
        ready = [line for line in process.lines if line.endswith(" ...")]
        assert [line.split(" at", 1)[0] for line in ready] == [
            "Running gRPC ModelServer",
            "Exporting HTTP/REST API",
        ]
        path = "/v1/models/default:predict"
        row = {"inputs": [[1, 2, 3, 4]]}
        assert rest_call(port, "POST", path, row) == (200, {"outputs": [[2.0, 4.0, 6.0, 8.0]]})
        body = {"signature_name": "wait", "inputs": str(tmp_path / "go")}
        with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("POST", path, json.dumps(body))
            # Accepted in order: an answer on a later connection says that this one is read.
            assert rest_call(port, "POST", path, row)[0] == 200
            process.popen.send_signal(signal.SIGTERM)
            process.wait_for("finishing the calls in flight")
            until(lambda: refuses(port))
            (tmp_path / "go0").touch()
            response = connection.getresponse()
            assert (response.status, response.headers["Connection"]) == (200, "close")
            assert json.loads(response.read())["outputs"] > 0
        assert process.end() == 0, "\n".join(process.lines)
    assert not any("Traceback" in line for line in process.lines)


@pytest.mark.integration
def test_failed_start(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish("two", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flags = ["--port=0", f"--rest_api_port={port}", f"--model_base_path={tmp_path / 'm'}"]
        with started(*flags) as process:
            assert process.end() == 255
            text = f"Error: INVALID_ARGUMENT: Failed to start HTTP Server at 127.0.0.1:{port}: "
            assert any(text in line for line in process.lines)
