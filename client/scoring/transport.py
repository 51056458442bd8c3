"""What a run asks of a server, whichever way leads there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from client.scoring.contents import Content
from client.scoring.rows import Ranked


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version of the model says of one picture."""

    version: str
    label: str
    probability: float
    top_k: tuple[Ranked, ...]
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a picture has no answer, now or later."""

    error: str


@dataclass(frozen=True, slots=True)
class Again:
    """Why a picture has no answer yet: its storage, or the server for it alone."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Outcome = Answer | Failed | Again


class TransportError(Exception):
    """Base of what a request as a whole can fail with; all of it may pass.

    Attributes:
        after: seconds that the server asks to wait before another try.
    """

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class BusyError(TransportError):
    """The server has no room, or is changing; no picture is at fault."""


class AwayError(TransportError):
    """No connection, no answer in time, or a defect; a picture may be at fault."""


class TooMuchError(TransportError):
    """Fewer pictures at a time may pass."""


class VersionMissingError(TransportError):
    """The version that is asked for is not there; replicas may be changing."""


@dataclass(frozen=True)
class Resolved:
    """The version of the model to ask for, and its labels in order, where they are known."""

    version: int
    labels: tuple[str, ...] = ()


class Transport(Protocol):
    """A way to a server; safe for threads.

    Attributes:
        batch: the most pictures that a call of `answer` is best given.
    """

    batch: int

    def resolve(self, version: int | None) -> Resolved:
        """Asks which version there is.

        Args:
            version: None is the newest.

        Raises:
            TransportError: as its kinds say.
            RefusedError: the server has no such model, or refuses this caller.
        """
        ...

    def answer(self, contents: Sequence[Content], version: int | None) -> Sequence[Outcome]:
        """Reads pictures and asks for their labels; gives an outcome for each, in order.

        Args:
            contents: at least one.
            version: None is whatever is newest at that moment.

        Raises:
            TransportError, RefusedError: as for `resolve`.
        """
        ...

    def close(self) -> None:
        """Ends connections and processes; calls under way fail."""
        ...
