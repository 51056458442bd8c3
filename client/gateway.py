"""A client of the gateway's HTTP API."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from client.errors import BadAnswerError, GatewayAwayError, ProblemError

_T = TypeVar("_T")


class _Problem(msgspec.Struct):
    type: str
    title: str
    status: int
    detail: str
    retryable: bool = False

    def error(self) -> ProblemError:
        return ProblemError(
            status=self.status,
            type=self.type,
            title=self.title,
            detail=self.detail,
            retryable=self.retryable,
        )


class Ranked(msgspec.Struct, frozen=True):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


class _Result(msgspec.Struct):
    label: str | None = None
    probability: float | None = None
    top_k: tuple[Ranked, ...] = ()
    problem: _Problem | None = None


class _Answer(msgspec.Struct):
    model: str
    version: str
    results: list[_Result]


class Result(msgspec.Struct, frozen=True):
    """What a model says of one picture: the best label, its probability, and the ranked list."""

    label: str
    probability: float
    top_k: tuple[Ranked, ...]


class Classification(msgspec.Struct, frozen=True):
    """The model and version that answered, and for each picture its result or its error."""

    model: str
    version: str
    results: tuple[Result | ProblemError, ...]


class ModelCard(msgspec.Struct, frozen=True):
    """A model that the gateway serves; `version` is None while none is available."""

    name: str
    ready: bool
    version: str | None


class _Models(msgspec.Struct):
    models: list[ModelCard]


class Client:
    """Calls one gateway over kept connections; safe for threads. Use it in a `with` block.

    Args:
        url: of the gateway.
        timeout: seconds for connecting, and for each wait for bytes.
        transport: of httpx, for tests.
    """

    def __init__(
        self, url: str, *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        try:
            address = httpx.URL(self.url)
            self._http = httpx.Client(
                base_url=address,
                timeout=timeout,
                transport=transport,
                # Reading the certificates takes longer than a request; plain HTTP needs none.
                verify=address.scheme != "http",
                # A proxy that the environment names is not asked for this machine itself.
                trust_env=not _is_loopback(address.host),
            )
        except httpx.InvalidURL as error:
            raise GatewayAwayError(f"{url}: {error}") from error

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
        self._http.close()

    def models(self) -> list[ModelCard]:
        """Returns the models that the gateway serves.

        Raises:
            ClientError: as `classify`.
        """
        return self._request("GET", "/v1/models", _Models).models

    def classify(
        self,
        images: Sequence[Path | bytes],
        model: str,
        *,
        version: int | None = None,
        top_k: int | None = None,
    ) -> Classification:
        """Classifies pictures in one request.

        Args:
            images: files or their contents; at most as many as the gateway allows.
            model: name of the model.
            version: None is the newest.
            top_k: how many labels to rank; None leaves it to the gateway.

        Raises:
            GatewayAwayError: no connection, or no answer in time.
            ProblemError: the request as a whole failed. With several pictures, what is wrong with
                one of them is in its result.
            BadAnswerError: what answered is no gateway.
            OSError: a file can't be read.
        """
        path = f"/v1/models/{quote(model, safe='')}"
        if version is not None:
            path += f"/versions/{version}"
        contents = [
            image if isinstance(image, bytes) else Path(image).read_bytes() for image in images
        ]
        if len(contents) == 1:
            body: dict[str, Any] = {
                "content": contents[0],
                "headers": {"Content-Type": "application/octet-stream"},
            }
        else:
            body = {"files": [("image", ("image", content)) for content in contents]}
        answer = self._request(
            "POST",
            f"{path}:classify",
            _Answer,
            params={} if top_k is None else {"top_k": top_k},
            **body,
        )
        if len(answer.results) != len(contents):
            raise BadAnswerError(
                f"{self.url}: {len(answer.results)} results for {len(contents)} pictures"
            )
        return Classification(
            answer.model, answer.version, tuple(_result(item) for item in answer.results)
        )

    def _request(self, method: str, path: str, kind: type[_T], **options: Any) -> _T:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise GatewayAwayError(f"{self.url}: no answer in time") from error
        except httpx.TransportError as error:
            raise GatewayAwayError(f"{self.url}: {error}") from error
        try:
            if response.is_success:
                return msgspec.json.decode(response.content, type=kind)
            problem = msgspec.json.decode(response.content, type=_Problem)
        except msgspec.DecodeError as error:
            raise BadAnswerError(
                f"{self.url}{path}: answered {response.status_code}, but not as a gateway does"
            ) from error
        raise problem.error()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _result(item: _Result) -> Result | ProblemError:
    if item.problem is not None:
        return item.problem.error()
    if item.label is None or item.probability is None:
        raise BadAnswerError("a result without a label")
    return Result(item.label, item.probability, item.top_k)
