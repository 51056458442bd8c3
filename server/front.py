"""The HTTP front of a gateway process: it reads requests whole before a thread works on them.

Thousands of callers may trickle their bodies here without holding anybody up: only a request that
is there as a whole gets a place among those in hand, and there are only so many places. The
application behind is an ordinary WSGI application, run in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contract.settings import Settings
from server import bookkeeping, metrics, tracing
from server.admission import Room
from server.answers import problem_answer
from server.arrival import KEY, Arrival
from server.deadline import HEADER, Deadline, asked_seconds
from server.greenlets import begin
from server.problems import (
    BAD_BODY,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    CONTENT_TYPE,
    INTERNAL_ERROR,
    Problem,
)
from server.security.answer_headers import AnswerHeaders
from server.security.guard import CALLER, Guard
from server.wsgi_call import Answer, App, Request, call, environ

_log = logging.getLogger(__name__)

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
# Probes, figures and pages don't wait behind pictures.
_CONTROL_THREADS = 4
_MOST_CONTROL = 256
# Some of those ask the model server; a gateway isn't to be taken for dead because that one hangs.
_LIVENESS_PATHS = ("/livez", "/v2/health/live")


class Front:
    """An RSGI application (granian's interface) around a WSGI one.

    Args:
        app: the gateway's application.
        settings: the limits.
        stopping: whether the gateway is about to stop; then callers are asked to connect anew,
            which leads them to another one.
        guard: checks callers before their bodies are read; None leaves it to the application.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        stopping: Callable[[], bool],
        guard: Guard | None = None,
    ) -> None:
        self._app = app
        self._guard = guard
        self._safety = AnswerHeaders(settings)
        self._settings = settings
        self._stopping = stopping
        self._places = Room(settings.threads + settings.max_waiting, "requests")
        self._bytes = Room(settings.max_buffered_bytes, "bytes of request bodies")
        self._promised = settings.max_buffered_bytes // 2
        self._small = self._promised // settings.max_connections
        self._in_hand = asyncio.Semaphore(settings.threads)
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="control")
        self._control_places = Room(_MOST_CONTROL, "requests")
        self._liveness = ThreadPoolExecutor(1, thread_name_prefix="liveness")

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        head = time.perf_counter()
        try:
            answer = await self._answer(scope, proto, head)
        except Problem as problem:
            answer = self._refused(problem, scope, head)
        except Exception:
            _log.exception("a request failed outside the application")
            answer = self._refused(Problem(INTERNAL_ERROR, "an unexpected error"), scope, head)
        headers = answer.headers
        if self._stopping():
            headers = [*headers, ("connection", "close")]
        proto.response_bytes(answer.status, headers, answer.body)

    def _refused(self, problem: Problem, scope: Any, head: float) -> Answer:
        """Answers, counts and logs what the application has not answered."""
        request_id = bookkeeping.request_id(scope.headers.get("x-request-id"))
        bookkeeping.refused(scope.method, request_id, head, problem, self._settings.access_log)
        answer = problem_answer(problem, scope.path)
        origin = scope.headers.get("origin")
        answer.headers.extend(self._safety.of(scope.method, CONTENT_TYPE, origin))
        answer.headers.append(("x-request-id", request_id))
        return answer

    async def _answer(self, scope: Any, proto: Any, head: float) -> Answer:
        more: dict[str, Any] = {}
        if self._guard is not None:
            more[CALLER] = self._guard.check(scope.headers, scope.path, scope.method)
        asked = Deadline.after(asked_seconds(scope.headers.get(HEADER.lower())))
        if scope.method in _WITHOUT_BODY:
            made = self._environ(_request(scope, b""), asked, head, more)
            if scope.path in _LIVENESS_PATHS:
                return await self._run(self._liveness, made)
            with self._control_places.taking(1):
                return await self._run(self._control, made)
        declared = self._declared_length(scope)
        with self._bytes.taking(0) as take:
            self._bytes.check(declared)
            at_once = self._may_be_read_at_once(declared, scope.http_version)
            body = await self._read(proto, declared, take, asked, at_once)
            made = self._environ(_request(scope, body), asked, head, more)
            with self._places.taking(1):
                waiting = metrics.Waiting()
                try:
                    await self._in_hand.acquire()
                finally:
                    waiting.ends()
                try:
                    return await begin(call, self._app, made)
                finally:
                    self._in_hand.release()

    def _environ(
        self, request: Request, asked: Deadline, head: float, more: dict[str, Any]
    ) -> dict[str, Any]:
        # The gateway's own limit is for its work; how long a caller sends, another one bounds.
        own = Deadline.after(self._settings.timeout_seconds)
        return environ(request, more | {KEY: Arrival(min(asked, own), head)})

    async def _run(self, pool: ThreadPoolExecutor, made: dict[str, Any]) -> Answer:
        waiting = metrics.Waiting()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, _begun, waiting, self._app, made)
        finally:
            waiting.ends()

    def __rsgi_del__(self, _loop: Any) -> None:
        tracing.end()

    def _declared_length(self, scope: Any) -> int:
        """The length that the head tells; 0 if it tells none, as for a chunked body."""
        length = int(scope.headers.get("content-length", 0))  # the HTTP server checks the number
        if length > self._settings.max_body_bytes:
            raise self._too_large()
        return length

    def _may_be_read_at_once(self, declared: int, http_version: str) -> bool:
        """Tells whether room may be taken for a whole body before any of it has come.

        To read it in one go costs a third less, of a small one, and far less of a large one. But
        who declares much and sends nothing would keep everybody out: half of the room is for what
        was only promised, and in it there is some for every connection. The bytes of other bodies
        are taken as they come. Over HTTP/2 a connection may bring any number of bodies.
        """
        if declared == 0 or http_version.startswith("2"):
            return False
        return declared <= self._small or self._bytes.taken + declared <= self._promised

    async def _read(
        self,
        proto: Any,
        declared: int,
        take: Callable[[int], None],
        asked: Deadline,
        at_once: bool,
    ) -> bytes:
        seconds = min(self._settings.body_seconds, asked.left())
        try:
            async with asyncio.timeout(seconds):
                if at_once:
                    take(declared)
                    body: bytes | bytearray = await proto()
                else:
                    body = await self._read_pieces(proto, take)
        except TimeoutError as error:
            raise Problem(
                BODY_TOO_SLOW, f"the body was not there after {seconds:.3g} seconds"
            ) from error
        except RuntimeError as error:  # granian's, for a caller that went away
            raise Problem(BAD_BODY, "the body broke off") from error
        if (
            len(body) < declared
        ):  # granian ends without an error for a caller that only stops to send
            raise Problem(BAD_BODY, "the body broke off")
        return bytes(body)

    async def _read_pieces(self, proto: Any, take: Callable[[int], None]) -> bytearray:
        body = bytearray()  # a list of chunks would take forty times the bytes of very short ones
        async for chunk in proto:
            if len(body) + len(chunk) > self._settings.max_body_bytes:
                raise self._too_large()
            take(len(chunk))
            body += chunk
        return body

    def _too_large(self) -> Problem:
        most = self._settings.max_body_bytes
        return Problem(BODY_TOO_LARGE, f"at most {most:,} bytes are allowed")


def _begun(waiting: metrics.Waiting, app: App, made: dict[str, Any]) -> Answer:
    waiting.ends()
    return call(app, made)


def _request(scope: Any, body: bytes) -> Request:
    return Request(
        scope.method,
        scope.path,
        scope.query_string,
        scope.scheme,
        scope.http_version,
        scope.client,
        scope.headers.items(),
        body,
    )
