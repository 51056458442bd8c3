"""From a batch of items to their rows: what may pass is waited for, what does not is a row."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from functools import cache

from PIL import Image

from client.scoring.contents import Content, InMemory
from client.scoring.errors import VersionGoneError
from client.scoring.items import Item
from client.scoring.patience import Patience
from client.scoring.rows import Parameters, Row
from client.scoring.throttle import Throttle
from client.scoring.transport import (
    Again,
    Answer,
    AwayError,
    BusyError,
    Failed,
    Outcome,
    Resolved,
    TooMuchError,
    Transport,
    TransportError,
    VersionMissingError,
)

# Storages of which a picture is remembered that was read and answered.
_STORAGES = 64


class Scorer:
    """Scores batches; safe for threads.

    Args:
        transport: the way to the server.
        parameters: of the run.
        version: the one to ask for, or None for whatever is newest.
        patience: shared by all threads of the run.
        throttle: told of answers and refusals.
    """

    def __init__(
        self,
        transport: Transport,
        parameters: Parameters,
        version: int | None,
        patience: Patience,
        throttle: Throttle,
    ) -> None:
        self._transport = transport
        self._parameters = parameters
        self._version = version
        self._patience = patience
        self._throttle = throttle
        self._good: dict[str, Content] = {}
        self._missing_since: float | None = None

    def rows(self, batch: Sequence[Item]) -> list[Row]:
        """Returns the row of each item, in order.

        Raises:
            ScoringError: as its kinds say; no row is lost, since none of them is written.
            StoppedError: the run ends.
        """
        found: dict[int, Row] = {}
        groups, failures = [list(batch)], 0
        while groups:
            group = groups.pop()
            if len(group) == 1:
                found[group[0].index] = self._alone(group[0])
                continue
            try:
                groups += self._together(group, found)
                failures = 0
            except TransportError as error:
                if not isinstance(error, TooMuchError):
                    self._wait(failures, error)
                    failures += 1
                groups += _smaller(group, error)
        return [found[item.index] for item in batch]

    def _together(self, group: list[Item], found: dict[int, Row]) -> list[list[Item]]:
        """Asks for several items at once; returns those that are to be asked for again, alone."""
        outcomes = self._ask([_content(item) for item in group])
        again = []
        for item, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Again):
                again.append([item])
            else:
                found[item.index] = self._row(item, outcome)
        return again

    def _alone(self, item: Item) -> Row:
        strikes, tries = 0, 0
        while True:
            reason: TransportError | Again
            try:
                (outcome,) = self._ask([_content(item)])
                if not isinstance(outcome, Again):
                    return self._row(item, outcome)
                reason = outcome
            except TransportError as error:
                reason = error
            if isinstance(reason, AwayError | Again):
                strikes = strikes + 1 if self._others_pass(item, reason) else 0
                if strikes >= self._patience.waits.strikes:
                    return self._row(item, Failed(str(reason)))
            self._wait(tries, reason)
            tries += 1

    def _others_pass(self, item: Item, reason: AwayError | Again) -> bool:
        """Whether another picture passes now, so that this one must be at fault.

        Where the reading fails it has to be one of the same storage that passed before.
        """
        other = self._good.get(_content(item).storage)
        if other is None and isinstance(reason, Again):
            return False
        try:
            return isinstance(self._ask([other or InMemory(_tiny_png())])[0], Answer)
        except TransportError:
            return False

    def _ask(self, contents: list[Content]) -> Sequence[Outcome]:
        self._patience.check()
        outcomes = self._transport.answer(contents, self._version)
        passed = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Again)]
        if passed:
            self._missing_since = None
            self._patience.progress()
            self._throttle.answered(len(passed))
        good = next((n for n in passed if isinstance(outcomes[n], Answer)), None)
        if good is not None and len(self._good) < _STORAGES:
            self._good[contents[good].storage] = contents[good]
        return outcomes

    def _wait(self, tries: int, reason: TransportError | Again) -> None:
        if isinstance(reason, VersionMissingError):
            self._check_gone(reason)
        elif not isinstance(reason, Again):
            self._throttle.refused()
        asked = reason.after if isinstance(reason, TransportError) else 0.0
        self._patience.pause(tries, str(reason), asked)

    def _check_gone(self, reason: VersionMissingError) -> None:
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        if now - self._missing_since > self._patience.waits.gone:
            raise VersionGoneError(
                f"version {self._version} of model {self._parameters.model}, which this run is"
                f" pinned to, is no longer served ({reason}). Serve it again and repeat the"
                " command, or remove the folder OUTPUT.partial to begin anew"
            ) from reason

    def _row(self, item: Item, outcome: Answer | Failed) -> Row:
        true = item.folder if self._parameters.labels_from_folders else None
        if isinstance(outcome, Failed):
            return Row(index=item.index, path=item.name, true_label=true, error=outcome.error)
        return Row(
            index=item.index,
            path=item.name,
            label=outcome.label,
            probability=outcome.probability,
            top_k=outcome.top_k,
            probabilities=outcome.probabilities,
            model=self._parameters.model,
            version=outcome.version,
            true_label=true,
        )


def resolved(transport: Transport, version: int | None, patience: Patience) -> Resolved:
    """Asks which version there is, and waits a while for a server that is only starting.

    Raises:
        RefusedError: there is no such model.
        VersionGoneError: there is no such version.
        PatienceError: nobody answers.
    """
    tries = 0
    while True:
        try:
            return transport.resolve(version)
        except VersionMissingError as error:
            if version is not None:
                raise VersionGoneError(str(error)) from error
            reason: TransportError = error
        except TransportError as error:
            reason = error
        patience.pause(tries, str(reason), reason.after)
        tries += 1


def _smaller(group: list[Item], error: TransportError) -> list[list[Item]]:
    """How a group is asked for again: in halves, if one of it may be what kills the server."""
    if isinstance(error, BusyError | VersionMissingError):
        return [group]
    half = len(group) // 2
    return [group[half:], group[:half]]


@cache
def _tiny_png() -> bytes:
    """A picture that is sound for sure."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "white").save(buffer, "PNG")
    return buffer.getvalue()


def _content(item: Item) -> Content:
    assert not callable(item.content)  # the pipeline has called it
    return item.content
