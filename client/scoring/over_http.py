"""Scoring through the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from client.gateway import (
    BadAnswerError,
    Client,
    ClientError,
    GatewayAwayError,
    ImageError,
    ProblemError,
    Result,
    UnknownVersionError,
)
from client.scoring.contents import Content, StorageAwayError, UnreadableError
from client.scoring.errors import RefusedError
from client.scoring.rows import Ranked
from client.scoring.transport import (
    Again,
    Answer,
    AwayError,
    BusyError,
    Failed,
    Outcome,
    Resolved,
    TooMuchError,
    VersionMissingError,
)

#: Pictures of a request, and the bytes after which no further one is added: large photographs go
#: alone, since the gateway's limit is on the body.
BATCH, BATCH_BYTES = 16, 4 * 1024 * 1024


class OverHttp:
    """Asks a gateway.

    Args:
        client: of the gateway, without retries of its own, which would hide from a run that the
            gateway is busy; closed with this.
        model: its name.
        top_k: how many labels to rank.
        probabilities: whether to ask for every label's.
        batch: pictures of a request.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        *,
        top_k: int = 5,
        probabilities: bool = False,
        batch: int = BATCH,
    ) -> None:
        self.batch = batch
        self._client = client
        self._model = model
        self._top_k = top_k
        self._probabilities = probabilities

    def resolve(self, version: int | None) -> Resolved:
        try:
            card = self._client.model(self._model)
        except ClientError as error:
            raise translated(error) from error
        if version is None and card.version is None:
            raise BusyError(f"model {self._model} has no version available")
        number = int(card.version or 0) if version is None else version
        manifest = (card.manifest or {}) if card.version == str(number) else {}
        return Resolved(number, tuple(map(str, manifest.get("labels") or ())))

    def answer(self, contents: Sequence[Content], version: int | None) -> Sequence[Outcome]:
        outcomes: dict[int, Outcome] = {}
        for places, images in _requests(contents, outcomes):
            outcomes.update(zip(places, self._ask(images, version), strict=True))
        return [outcomes[place] for place in range(len(contents))]

    def close(self) -> None:
        self._client.close()

    def _ask(self, images: list[bytes], version: int | None) -> list[Outcome]:
        try:
            results = self._client.classify(
                images,
                self._model,
                version=version,
                top_k=self._top_k,
                probabilities=self._probabilities,
            )
        except ImageError as error:  # one of them, and the gateway doesn't say which
            raise TooMuchError(str(error)) from error
        except ClientError as error:
            raise translated(error) from error
        return [_outcome(result) for result in results]


def _requests(
    contents: Sequence[Content], outcomes: dict[int, Outcome]
) -> Iterator[tuple[list[int], list[bytes]]]:
    """Reads pictures until they are enough for a request; what can't be read has its outcome."""
    places: list[int] = []
    images: list[bytes] = []
    for place, content in enumerate(contents):
        try:
            images.append(content.read())
            places.append(place)
        except UnreadableError as error:
            outcomes[place] = Failed(str(error))
        except StorageAwayError as error:
            outcomes[place] = Again(str(error))
        if sum(map(len, images)) >= BATCH_BYTES:
            yield places, images
            places, images = [], []
    if places:
        yield places, images


def _outcome(result: Result | ProblemError) -> Outcome:
    if isinstance(result, ProblemError):
        return Again(str(result)) if result.retryable else Failed(str(result))
    return Answer(
        result.version,
        result.label,
        result.probability,
        tuple(Ranked(entry.label, entry.probability) for entry in result.top_k),
        result.probabilities,
    )


def translated(error: ClientError) -> Exception:
    """Returns what an error of the client means for a run."""
    if isinstance(error, GatewayAwayError | BadAnswerError):
        return AwayError(str(error))
    if not isinstance(error, ProblemError):
        return RefusedError(str(error))
    after = error.retry_after or 0.0
    if error.status in (429, 503):
        return BusyError(str(error), after)
    if error.status >= 500 or error.retryable:
        return AwayError(str(error), after)
    if isinstance(error, UnknownVersionError):
        return VersionMissingError(str(error))
    return RefusedError(str(error))
