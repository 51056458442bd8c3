"""The client for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
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


class AsyncClient:
    """Calls one gateway from asyncio. Use it in an `async with` block, in one event loop.

    The arguments, the methods and their errors are those of `Client`; each method is awaited.
    Files are read, and images encoded, in a thread, so that the loop goes on.
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = shown(url)
        self._calls = Calls(self.url, timeout, retry, batch)
        self._http = httpx.AsyncClient(**http_options(url, api_key, verify), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    @overload
    async def classify(  # type: ignore[overload-overlap]  # a str is a path, not a list
        self, images: ImageInput, model: str, **options: Unpack[ClassifyOptions]
    ) -> Result: ...

    @overload
    async def classify(
        self, images: Sequence[ImageInput], model: str, **options: Unpack[ClassifyOptions]
    ) -> tuple[Result | ProblemError, ...]: ...

    async def classify(self, images: Any, model: str, **options: Unpack[ClassifyOptions]) -> Any:
        """Classifies an image, or several: `Client.classify`."""
        return await self._run(self._calls.classify(images, model, **options))

    @overload
    async def explain(  # type: ignore[overload-overlap]  # a str is a path, not a list
        self, images: ImageInput, model: str, **options: Unpack[ExplainOptions]
    ) -> Explanation: ...

    @overload
    async def explain(
        self, images: Sequence[ImageInput], model: str, **options: Unpack[ExplainOptions]
    ) -> tuple[Explanation | ProblemError, ...]: ...

    async def explain(self, images: Any, model: str, **options: Unpack[ExplainOptions]) -> Any:
        """Says where the model saw its best label: `Client.explain`."""
        return await self._run(self._calls.explain(images, model, **options))

    async def models(self, *, timeout: float | None = None) -> tuple[ListedModel, ...]:
        """Returns the models that the gateway serves: `Client.models`."""
        return await self._run(self._calls.models(timeout=timeout))

    async def model(self, name: str, *, timeout: float | None = None) -> ModelCard:
        """Returns what the gateway says of one model: `Client.model`."""
        return await self._run(self._calls.model(name, timeout=timeout))

    async def _run(self, steps: Steps[T]) -> T:
        done: object = None
        while True:
            try:
                step = steps.send(done)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            done = await self._do(step)

    async def _do(self, step: Step) -> object:
        match step:
            case Send():
                return await self._send(step)
            case Wait(seconds):
                await asyncio.sleep(seconds)
                return None
            case Load(images):
                return await asyncio.to_thread(contents, images)

    async def _send(self, step: Send) -> Outcome:
        try:
            async with asyncio.timeout(step.deadline.left()):
                response = await self._http.send(request(self._http, step))
        except TimeoutError:
            return httpx.ReadTimeout("the answer came too slowly")
        except httpx.RequestError as error:
            return error
        return Answer(response.status_code, response.headers, response.content)
