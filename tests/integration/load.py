"""Callers that go through several gateways as a Kubernetes Service has them: each new connection
goes to one of those that are ready, in turn, and stays there.

Some make a connection for each request and try nothing twice. Others keep theirs, also to a gateway
that has left the Service; if it ends under a request, which HTTP allows at any time, they send it
once more over a new one. What was answered is never repeated.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.integration.processes import wait_until
from tests.pictures import picture

PAUSE_SECONDS = 0.02
_PICTURE = picture("JPEG", size=(64, 48))


@dataclass
class Endpoints:
    """The gateways that requests go to: URLs, changed as a whole."""

    urls: tuple[str, ...] = ()

    def add(self, url: str) -> None:
        self.urls = (*self.urls, url)

    def remove(self, url: str) -> None:
        self.urls = tuple(other for other in self.urls if other != url)


@dataclass(frozen=True)
class Answer:
    """What came back: the gateway, the HTTP status (0: nothing), and what the headers say.

    Attributes:
        closed: whether the connection ends with it.
    """

    url: str
    status: int
    version: str
    track: str
    text: str
    closed: bool

    @property
    def ok(self) -> bool:
        return self.status == 200


@dataclass
class Load:
    """All answers so far, in the order in which they came, and why requests were sent again."""

    answers: list[Answer] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.ok]

    def next_answers(self, count: int) -> list[Answer]:
        """Waits for more answers and returns them."""
        start = len(self.answers)
        wait_until(lambda: len(self.answers) >= start + count, f"{count} more answers")
        return self.answers[start : start + count]

    def versions(self, count: int) -> Counter[str]:
        return Counter(answer.version for answer in self.next_answers(count))


@contextmanager
def load(endpoints: Endpoints, model: str, *, fresh: int, kept: int) -> Iterator[Load]:
    """Asks until the end of the block.

    Args:
        fresh: callers that make a connection for each request.
        kept: callers that keep theirs.
    """
    made, stop = Load(), threading.Event()
    turns = itertools.count()

    def connect() -> httpx.Client:
        urls = endpoints.urls
        return httpx.Client(base_url=urls[next(turns) % len(urls)], verify=False, timeout=30)

    def call_fresh() -> None:
        while not stop.is_set():
            with connect() as client:
                made.answers.append(_ask(client, model))
            time.sleep(PAUSE_SECONDS)

    def call_kept() -> None:
        client = connect()
        while not stop.is_set():
            answer = _ask(client, model)
            if answer.status == 0:
                made.repeated.append(answer.text)
                client.close()
                client = connect()
                answer = _ask(client, model)
            made.answers.append(answer)
            if answer.closed:
                client.close()
                client = connect()
            time.sleep(PAUSE_SECONDS)
        client.close()

    threads = [threading.Thread(target=call_fresh) for _ in range(fresh)]
    threads += [threading.Thread(target=call_kept) for _ in range(kept)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(client: httpx.Client, model: str) -> Answer:
    url = str(client.base_url)
    try:
        answer = client.post(f"/v1/models/{model}:classify", content=_PICTURE)
    except httpx.HTTPError as error:
        return Answer(url, 0, "", "", repr(error), closed=True)
    version, track = (answer.headers.get(f"X-Model-{name}", "") for name in ("Version", "Track"))
    closed = answer.headers.get("connection", "") == "close"
    return Answer(url, answer.status_code, version, track, answer.text, closed)
