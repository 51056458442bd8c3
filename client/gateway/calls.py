"""The calls of the API, as steps: what to send, when to send it again, what the answer means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from . import answers
from .errors import (
    BadAnswerError,
    BodyTooLargeError,
    DeadlineError,
    GatewayAwayError,
    ImageError,
    ProblemError,
    TooManyImagesError,
)
from .images import ImageInput, is_list
from .results import Explanation, ListedModel, ModelCard, Result
from .retry import Retry
from .steps import Answer, Call, Deadline, Load, Outcome, Send, Steps, Wait

T = TypeVar("T")

# Where the caller does not say: seconds of a call; images in a request, as many as a gateway takes
# unless it is set otherwise; the pauses.
DEFAULT_TIMEOUT, DEFAULT_BATCH, DEFAULT_RETRY = 30.0, 32, Retry()


class Common(TypedDict, total=False):
    """What every call about images can be told.

    version: number of the version that is to answer; the newest unless given.
    label: label of the version that is to answer, like "stable"; not together with `version`.
    timeout: seconds for this call, instead of the client's.
    """

    version: int | str | None
    label: str | None
    timeout: float | None


class ClassifyOptions(Common, total=False):
    """What `classify` can be told besides.

    top_k: labels in the ranked list; the gateway's default unless given.
    threshold: 0 to 1; the ranked list has no label below it.
    probabilities: whether to have the probabilities of all classes.
    """

    top_k: int | None
    threshold: float | None
    probabilities: bool


class ExplainOptions(Common, total=False):
    """What `explain` can be told besides.

    overlay: whether to have a PNG of the image with the heat map over it.
    """

    overlay: bool


@dataclass(frozen=True)
class Calls:
    """The calls of one gateway.

    Attributes:
        address: of the gateway, for the texts of errors.
        timeout: seconds of a call, all its requests and pauses together.
        retry: when a request is sent again.
        batch: images in a request at most.
    """

    address: str
    timeout: float
    retry: Retry
    batch: int

    def __post_init__(self) -> None:
        _check_timeout(self.timeout)
        if self.batch < 1:
            raise ValueError(f"batch={self.batch}: at least 1 image is in a request")

    def classify(
        self,
        images: ImageInput | Sequence[ImageInput],
        model: str,
        *,
        version: int | str | None = None,
        label: str | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        probabilities: bool = False,
        timeout: float | None = None,
    ) -> Steps[Result | tuple[Result | ProblemError, ...]]:
        """The steps of `Client.classify`."""
        parameters = _parameters(
            top_k=top_k, threshold=threshold, probabilities=probabilities or None
        )
        path = f"{_path(model, version, label)}:classify"
        call = Call("POST", path, parameters)
        return self._about(images, call, answers.result, self._deadline(timeout))

    def explain(
        self,
        images: ImageInput | Sequence[ImageInput],
        model: str,
        *,
        version: int | str | None = None,
        label: str | None = None,
        overlay: bool = False,
        timeout: float | None = None,
    ) -> Steps[Explanation | tuple[Explanation | ProblemError, ...]]:
        """The steps of `Client.explain`."""
        path = f"{_path(model, version, label)}:explain"
        call = Call("POST", path, _parameters(overlay=overlay or None))
        return self._about(images, call, answers.explanation, self._deadline(timeout))

    def models(self, *, timeout: float | None = None) -> Steps[tuple[ListedModel, ...]]:
        """The steps of `Client.models`."""
        answer = yield from self._ask(Call("GET", "/v1/models"), self._deadline(timeout))
        return answers.read(answer, answers.Models, self.address).models

    def model(self, name: str, *, timeout: float | None = None) -> Steps[ModelCard]:
        """The steps of `Client.model`."""
        answer = yield from self._ask(Call("GET", _path(name)), self._deadline(timeout))
        return answers.read(answer, ModelCard, self.address)

    def _deadline(self, timeout: float | None) -> Deadline:
        if timeout is not None:
            _check_timeout(timeout)
        return Deadline.after(self.timeout if timeout is None else timeout)

    def _about(
        self, images: Any, call: Call, make: answers.Make[T], deadline: Deadline
    ) -> Steps[T | tuple[T | ProblemError, ...]]:
        if is_list(images):
            return (yield from self._in_batches(images, call, make, deadline))
        (result,) = yield from self._in_batches([images], call, make, deadline)
        if isinstance(result, ProblemError):
            raise result
        return result

    def _in_batches(
        self, images: Sequence[ImageInput], call: Call, make: answers.Make[T], deadline: Deadline
    ) -> Steps[tuple[T | ProblemError, ...]]:
        """Splits a list into as many requests as it needs.

        A batch that the gateway finds too large is halved, and so are those after it.
        """
        size, loaded = self.batch, 0
        waiting: list[bytes] = []
        results: list[T | ProblemError] = []
        while waiting or loaded < len(images):
            if not waiting:
                waiting = yield Load(images[loaded : loaded + size])
                loaded += len(waiting)
            part = waiting[:size]
            try:
                results += yield from self._batch(part, call, make, deadline)
            except (TooManyImagesError, BodyTooLargeError):
                if len(part) == 1:
                    raise
                size = len(part) // 2
            else:
                del waiting[: len(part)]
        return tuple(results)

    def _batch(
        self, images: list[bytes], call: Call, make: answers.Make[T], deadline: Deadline
    ) -> Steps[tuple[T | ProblemError, ...]]:
        request = Call(call.method, call.path, call.parameters, images)
        answer = yield from self._ask(request, deadline)
        try:
            return answers.read_images(answer, len(images), make, self.address)
        except ImageError as error:
            # The gateway answers an image that comes alone with its problem's status.
            if len(images) == 1:
                return (error,)
            raise

    def _ask(self, call: Call, deadline: Deadline) -> Steps[Answer]:
        """Sends a request until it is answered for good, or no time is left for another try."""
        for repeated in itertools.count():
            if deadline.left() <= 0:
                raise self._too_late(deadline)
            outcome: Outcome = yield Send(call, deadline)
            pause = self.retry.pause(repeated, outcome)
            if pause is None or pause >= deadline.left():
                return self._final(outcome, deadline)
            yield Wait(pause)
        raise AssertionError("not reached")

    def _final(self, outcome: Outcome, deadline: Deadline) -> Answer:
        if isinstance(outcome, Answer):
            return outcome
        if isinstance(outcome, httpx.TimeoutException):
            raise self._too_late(deadline) from outcome
        reason = str(outcome) or type(outcome).__name__
        if isinstance(outcome, httpx.TransportError):
            raise GatewayAwayError(f"{self.address}: {reason}") from outcome
        raise BadAnswerError(f"{self.address}: {reason}") from outcome

    def _too_late(self, deadline: Deadline) -> DeadlineError:
        return DeadlineError(f"{self.address}: no answer in time ({deadline.seconds:g} s)")


def _check_timeout(seconds: float) -> None:
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"timeout={seconds}: a number of seconds above 0 is expected")


def _path(model: str, version: int | str | None = None, label: str | None = None) -> str:
    if version is not None and label is not None:
        raise ValueError(f"version={version}, label={label!r}: only one of the two can be given")
    path = f"/v1/models/{quote(model, safe='')}"
    if version is not None:
        path += f"/versions/{quote(str(version), safe='')}"
    if label is not None:
        path += f"/labels/{quote(label, safe='')}"
    return path


def _parameters(**given: float | bool | None) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }
