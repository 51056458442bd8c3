"""The client that blocks."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import httpx

from .calls import (
    DEFAULT_BATCH,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    Calls,
    ClassifyOptions,
    ExplainOptions,
)
from .connection import http_options, shown
from .errors import ProblemError
from .images import ImageInput, contents
from .results import Explanation, ListedModel, ModelCard, Result
from .retry import Retry
from .steps import Answer, Load, Outcome, Send, Step, Steps, Wait, request

T = TypeVar("T")


class Client:
    """Calls one gateway over kept connections; safe for threads. Use it in a `with` block.

    Args:
        url: of the gateway.
        timeout: seconds of a call: all its requests, and the pauses between them, together.
        retry: how often and after which pauses a request is sent again that found no gateway, or
            one that is busy.
        batch: images in a request at most; a longer list becomes several requests.
        api_key: sent with every request; LINCE_API_KEY unless given.
        verify: an SSL context with other certificates than the public ones.
        transport: of httpx, for tests.

    Raises:
        ClientError: the address or the API key is none.
        ValueError: the timeout or the batch is not above 0.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry = DEFAULT_RETRY,
        batch: int = DEFAULT_BATCH,
        api_key: str | None = None,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = shown(url)
        self._calls = Calls(self.url, timeout, retry, batch)
        self._http = httpx.Client(**http_options(url, api_key, verify), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a path, not a list
        self, images: ImageInput, model: str, **options: Unpack[ClassifyOptions]
    ) -> Result: ...

    @overload
    def classify(
        self, images: Sequence[ImageInput], model: str, **options: Unpack[ClassifyOptions]
    ) -> tuple[Result | ProblemError, ...]: ...

    def classify(self, images: Any, model: str, **options: Unpack[ClassifyOptions]) -> Any:
        """Classifies an image, or several.

        An image is a path (str or PathLike), the bytes of a file, an open binary file, a PIL image,
        or a NumPy array uint8 [height, width] or [height, width, 1, 3 or 4]; the last two are sent
        without loss.

        Args:
            images: one image, or a list of them.
            model: name of the model.
            **options: version, label, top_k, threshold, probabilities, timeout: `ClassifyOptions`.

        Returns:
            of one image its result; of a list a tuple with a result for each, in their order, or
            the ProblemError of an image that has one.

        Raises:
            GatewayAwayError: no connection.
            DeadlineError: no answer in time.
            ProblemError: the request failed; of a list as a whole.
            BadAnswerError: what answered is no gateway.
            ImageInputError: an array or a PIL image can't be sent.
            OSError: a file can't be read.
        """
        return self._run(self._calls.classify(images, model, **options))

    @overload
    def explain(  # type: ignore[overload-overlap]  # a str is a path, not a list
        self, images: ImageInput, model: str, **options: Unpack[ExplainOptions]
    ) -> Explanation: ...

    @overload
    def explain(
        self, images: Sequence[ImageInput], model: str, **options: Unpack[ExplainOptions]
    ) -> tuple[Explanation | ProblemError, ...]: ...

    def explain(self, images: Any, model: str, **options: Unpack[ExplainOptions]) -> Any:
        """Says where in an image, or in each of several, the model saw its best label.

        Args:
            images: as in `classify`.
            model: name of the model.
            **options: version, label, overlay, timeout: `ExplainOptions`.

        Raises:
            NotExplainableError: the model was exported without heat maps.
            ClientError, OSError: as `classify`.
        """
        return self._run(self._calls.explain(images, model, **options))

    def models(self, *, timeout: float | None = None) -> tuple[ListedModel, ...]:
        """Returns the models that the gateway serves.

        Raises:
            ClientError: as `classify`.
        """
        return self._run(self._calls.models(timeout=timeout))

    def model(self, name: str, *, timeout: float | None = None) -> ModelCard:
        """Returns what the gateway says of one model, with its manifest.

        Raises:
            UnknownModelError: the gateway serves no such model.
            ClientError: as `classify`.
        """
        return self._run(self._calls.model(name, timeout=timeout))

    def _run(self, steps: Steps[T]) -> T:
        done: object = None
        while True:
            try:
                step = steps.send(done)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            done = self._do(step)

    def _do(self, step: Step) -> object:
        match step:
            case Send():
                return self._send(step)
            case Wait(seconds):
                time.sleep(seconds)
                return None
            case Load(images):
                return contents(images)

    def _send(self, step: Send) -> Outcome:
        try:
            with closing(self._http.send(request(self._http, step), stream=True)) as response:
                content = b"".join(step.deadline.hold(response.iter_bytes()))
        except httpx.RequestError as error:
            return error
        return Answer(response.status_code, response.headers, content)
