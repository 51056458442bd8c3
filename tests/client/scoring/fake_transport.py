"""A way to a server that is none, and what tests of a run share."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.scoring import Job, Parameters
from client.scoring.contents import Content, InMemory, StorageAwayError, UnreadableError
from client.scoring.items import Found
from client.scoring.patience import Waits
from client.scoring.rows import Ranked
from client.scoring.transport import (
    Again,
    Answer,
    AwayError,
    Failed,
    Outcome,
    Resolved,
    VersionMissingError,
)

QUICK = Waits(first=0.001, longest=0.002, patience=60, start=60, gone=0.05, strikes=3)


@dataclass
class FakeTransport:
    """Answers with the content as label; b"bad" fails, b"kill" brings the server down.

    Attributes:
        versions: that are there; the highest is the newest.
        errors: what the next calls of `answer` raise, the first of them first.
        before: is called with the number of the call before each answer.
        batches: number of pictures in each call.
    """

    batch: int = 4
    versions: list[int] = field(default_factory=lambda: [1])
    errors: list[Exception] = field(default_factory=list)
    before: Callable[[int], object] = int
    batches: list[int] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(self, version: int | None) -> Resolved:
        if not self.versions:
            raise AwayError("no server")
        return Resolved(self._there(version), ("a", "b"))

    def answer(self, contents: Sequence[Content], version: int | None) -> Sequence[Outcome]:
        with self.lock:
            self.batches.append(len(contents))
            number = len(self.batches)
            error = self.errors.pop(0) if self.errors else None
        self.before(number)
        if error is not None:
            raise error
        found = str(self._there(version))
        data = [_read(content) for content in contents]
        if b"kill" in data:
            raise AwayError("the connection broke")
        with self.lock:
            self.asked += [one for one in data if isinstance(one, bytes)]
        return [_outcome(one, found) for one in data]

    def close(self) -> None: ...

    def _there(self, version: int | None) -> int:
        wanted = max(self.versions, default=0) if version is None else version
        if wanted not in self.versions:
            raise VersionMissingError(f"no version {wanted}")
        return wanted


def _read(content: Content) -> bytes | Outcome:
    try:
        return content.read()
    except UnreadableError as error:
        return Failed(str(error))
    except StorageAwayError as error:
        return Again(str(error))


def _outcome(data: bytes | Outcome, version: str) -> Outcome:
    if not isinstance(data, bytes):
        return data
    if data == b"bad":
        return Failed("a bad picture")
    label = data.decode(errors="replace")
    return Answer(version, label, 0.75, (Ranked(label, 0.75), Ranked("b", 0.25)), (0.75, 0.25))


def in_memory(contents: Iterable[bytes], folder: str = "in") -> list[Found]:
    return [Found(f"{folder}/{n}.png", InMemory(data)) for n, data in enumerate(contents)]


def job(out: Path, contents: Iterable[bytes] | None = None, **more: Any) -> Job:
    """A job over contents, or over 20 that are all different."""
    parameters = {"sources": ("in",), "model": "pets", **more.pop("parameters", {})}
    found = in_memory([b"%d" % n for n in range(20)] if contents is None else contents)
    options = {"waits": QUICK, "concurrency": 4, "found": lambda: found, **more}
    return Job(parameters=Parameters(**parameters), out=out, **options)
