"""A gateway in this process that can be busy, away, slow, or switch versions."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LABELS = ("cat", "dog", "owl")
_PATH = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>\d+))?(?P<verb>:classify)?"
)
_TITLES = {400: "broken-image", 404: "unknown-version", 429: "overloaded", 503: "unavailable"}


@dataclass
class FakeGateway:
    """What the fake serves and how it misbehaves; change the fields while it runs.

    An image is any content; its hash decides what it is, `bad` is broken.

    Attributes:
        versions: that are served; the highest is the newest.
        refuse: HTTP statuses of the next requests about images, the first of them first.
        delay: seconds before an answer.
        most: images at the same time, above which a request is answered 429; None for no limit.
        killers: contents at which the connection breaks.
        retry_after: what a refusal says of when to come back.
        images: how many were classified so far.
        refused: requests answered 429.
    """

    versions: list[int] = field(default_factory=lambda: [1])
    refuse: list[int] = field(default_factory=list)
    delay: float = 0.0
    most: int | None = None
    killers: set[bytes] = field(default_factory=set)
    retry_after: str | None = None
    images: int = 0
    refused: int = 0
    now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, images: list[bytes]) -> tuple[int, Any]:
        """Returns the status and JSON of a request."""
        asked = urlsplit(path)
        found = _PATH.fullmatch(asked.path)
        if found is None or found["model"] != "pets":
            return problem(404, "unknown-model")
        with self.lock:
            if self.refuse and found["verb"]:
                status = self.refuse.pop(0)
                self.refused += status == 429
                return problem(status)
            if not self.versions:
                return problem(503)
            version = int(found["version"] or max(self.versions))
            if version not in self.versions:
                return problem(404)
            self.images += len(images)
        if found["verb"] is None:
            return 200, self.card(version)
        time.sleep(self.delay)
        top_k = int(parse_qs(asked.query)["top_k"][0])
        every = "probabilities" in asked.query
        results = [result(image, version, top_k, every) for image in images]
        if len(images) == 1 and "problem" in results[0]:
            return 400, results[0]["problem"]
        labels = {"labels": LABELS} if every else {}
        return 200, {"model": "pets", "version": str(version), "results": results, **labels}

    def card(self, version: int) -> dict[str, Any]:
        return {
            "name": "pets",
            "ready": True,
            "version": str(version),
            "manifest": {"labels": LABELS},
        }

    def enter(self, images: int) -> bool:
        with self.lock:
            if self.most is not None and self.now + images > self.most and self.now:
                self.refused += 1
                return False
            self.now += images
            return True

    def leave(self, images: int) -> None:
        with self.lock:
            self.now -= images


def result(image: bytes, version: int, top_k: int, every: bool) -> dict[str, Any]:
    """What version of the model says of an image: always the same."""
    if image == b"bad":
        return {"problem": problem(400)[1]}
    digest = hashlib.sha256(image + str(version).encode()).digest()
    parts = [value + 1 for value in digest[: len(LABELS)]]
    probabilities = [part / sum(parts) for part in parts]
    order = sorted(range(len(LABELS)), key=lambda place: -probabilities[place])[:top_k]
    ranked = [{"label": LABELS[n], "probability": probabilities[n]} for n in order]
    return {**ranked[0], "top_k": ranked, **({"probabilities": probabilities} if every else {})}


def problem(status: int, kind: str | None = None) -> tuple[int, dict[str, Any]]:
    name = kind or _TITLES[status]
    return status, {
        "type": f"urn:lince:problem:{name}",
        "title": name,
        "status": status,
        "detail": "the fake says so",
        "retryable": status in (429, 503),
    }


@contextmanager
def serving(fake: FakeGateway) -> Iterator[FakeGateway]:
    """Serves the fake on a loopback port: a free one, or the one it had before."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

        def do_GET(self) -> None:
            self.reply(*fake.answer(self.path, []))

        def do_POST(self) -> None:
            images = parts(
                self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))
            )
            if fake.killers & set(images):
                self.close_connection = True
                return
            if not fake.enter(len(images)):
                self.reply(*problem(429))
                return
            try:
                answer = fake.answer(self.path, images)
            finally:
                fake.leave(len(images))
            self.reply(*answer)

        def reply(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            kind = "application/json" if status == 200 else "application/problem+json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status in (429, 503) and fake.retry_after is not None:
                self.send_header("Retry-After", fake.retry_after)
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A caller that is killed breaks its connection: nothing to tell."""

    server = Server(("127.0.0.1", fake.port), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def parts(kind: str, body: bytes) -> list[bytes]:
    """The images of a request: its body, or the parts of its form."""
    if not kind.startswith("multipart/"):
        return [body]
    message = message_from_bytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=HTTP
    )
    return [part.get_payload(decode=True) for part in message.iter_parts()]
