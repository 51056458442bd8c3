"""From the gateway's answers to results and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from .errors import BadAnswerError, ProblemError, error_of
from .results import Explanation, ListedModel, Ranked, Result
from .steps import Answer

T = TypeVar("T")


class _Problem(msgspec.Struct):
    type: str
    title: str
    status: int
    detail: str
    retryable: bool = False

    def error(self, request_id: str | None, retry_after: float | None = None) -> ProblemError:
        return error_of(self.type)(
            status=self.status,
            type=self.type,
            title=self.title,
            detail=self.detail,
            retryable=self.retryable,
            request_id=request_id,
            retry_after=retry_after,
        )


class Item(msgspec.Struct):
    """What an answer says of one image: a result of any verb, or a problem."""

    label: str | None = None
    probability: float | None = None
    top_k: tuple[Ranked, ...] = ()
    probabilities: tuple[float, ...] | None = None
    heatmap: tuple[tuple[float, ...], ...] = ()
    overlay: bytes | None = None
    problem: _Problem | None = None


class Images(msgspec.Struct):
    """An answer about images: an item for each, in their order."""

    model: str
    version: str
    results: tuple[Item, ...]
    labels: tuple[str, ...] = ()


class Models(msgspec.Struct):
    """The answer about all models."""

    models: tuple[ListedModel, ...]


#: Makes the result of an item that is no problem: from the item, its answer and the request's id.
Make = Callable[[Item, Images, str | None], T]


def read(answer: Answer, kind: type[T], address: str) -> T:
    """Returns the content of an answer.

    Args:
        answer: of any status.
        kind: what a good one holds.
        address: what was called, for the error's text.

    Raises:
        ProblemError: the answer is a problem.
        BadAnswerError: it is neither.
    """
    try:
        if 200 <= answer.status < 300:
            return msgspec.json.decode(answer.content, type=kind)
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswerError(
            f"{address}: answered {answer.status}, but not as a gateway does"
        ) from error
    raise problem.error(_request_id(answer), answer.retry_after)


def read_images(
    answer: Answer, count: int, make: Make[T], address: str
) -> tuple[T | ProblemError, ...]:
    """Returns a result or an error for each image of a request.

    Raises:
        ProblemError: the request as a whole failed.
        BadAnswerError: the answer is not as a gateway's, or is not about as many images.
    """
    content = read(answer, Images, address)
    if len(content.results) != count:
        raise BadAnswerError(f"{address}: {len(content.results)} results for {count} images")
    request_id = _request_id(answer)
    try:
        return tuple(
            make(item, content, request_id)
            if item.problem is None
            else item.problem.error(request_id)
            for item in content.results
        )
    except _IncompleteError as error:
        raise BadAnswerError(f"{address}: {error}") from error


def result(item: Item, answer: Images, request_id: str | None) -> Result:
    """Makes the result of `:classify`."""
    label, probability = _best(item)
    return Result(
        label=label,
        probability=probability,
        top_k=item.top_k,
        probabilities=item.probabilities,
        labels=answer.labels,
        model=answer.model,
        version=answer.version,
        request_id=request_id,
    )


def explanation(item: Item, answer: Images, request_id: str | None) -> Explanation:
    """Makes the result of `:explain`."""
    label, probability = _best(item)
    if not item.heatmap:
        raise _IncompleteError("an explanation without a heat map")
    return Explanation(
        label=label,
        probability=probability,
        heatmap=item.heatmap,
        overlay=item.overlay,
        model=answer.model,
        version=answer.version,
        request_id=request_id,
    )


class _IncompleteError(Exception):
    """A result lacks a member."""


def _best(item: Item) -> tuple[str, float]:
    if item.label is None or item.probability is None:
        raise _IncompleteError("a result without a label")
    return item.label, item.probability


def _request_id(answer: Answer) -> str | None:
    request_id: str | None = answer.headers.get("X-Request-Id")
    return request_id
