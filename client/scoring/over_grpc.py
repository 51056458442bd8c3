"""Scoring by the model server itself: pixels are made here, the batches are filled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from client.scoring.contents import Content, InMemory, StorageAwayError, UnreadableError
from client.scoring.decoding import Decoders
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
from contract import manifest as manifests
from contract.errors import ManifestError, TensorError
from contract.manifest import Manifest
from contract.pixels import PixelSpec
from contract.wire import serving_pb2 as pb
from contract.wire.channel import open_channel
from contract.wire.stubs import model_server_stubs
from contract.wire.tensors import to_array, to_tensor
from contract.wire.tls import Tls

#: Pictures of a call.
BATCH = 32
_BUSY = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
_REFUSED = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)


@dataclass(frozen=True)
class _Described:
    """A version and what it says of itself."""

    number: int
    manifest: Manifest
    pixels: PixelSpec


class OverGrpc:
    """Asks a model server.

    Args:
        address: as the setting LINCE_MODEL_SERVER has it, like host:port.
        model: its name.
        top_k: how many labels to rank.
        probabilities: whether to give every label's.
        timeout: seconds of a call.
        processes: that decode; 0 decodes in the calling thread.
        batch: pictures of a call.
        tls: None calls the model server in the clear.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        top_k: int = 5,
        probabilities: bool = False,
        timeout: float = 30.0,
        processes: int = 0,
        batch: int = BATCH,
        tls: Tls | None = None,
    ) -> None:
        self.batch = batch
        self._address = address
        self._model = model
        self._top_k = top_k
        self._probabilities = probabilities
        self._timeout = timeout
        self._channel = open_channel(address, tls)
        self._stubs = model_server_stubs(self._channel)
        self._decoders = Decoders(processes)
        self._lock = threading.Lock()
        self._known: dict[int | None, _Described] = {}

    def resolve(self, version: int | None) -> Resolved:
        described = self._describe(version)
        return Resolved(described.number, described.manifest.labels)

    def answer(self, contents: Sequence[Content], version: int | None) -> Sequence[Outcome]:
        described = self._known.get(version) or self._describe(version)
        wanted = described.pixels
        if wanted.height is None and len(contents) > 1:
            raise TooMuchError("pictures of any size have no common batch")
        here = [_here(content) for content in contents]
        passed = [place for place, one in enumerate(here) if not isinstance(one, Again | Failed)]
        outcomes: dict[int, Outcome] = {
            place: one for place, one in enumerate(here) if isinstance(one, Again | Failed)
        }
        readable = [one for one in here if not isinstance(one, Again | Failed)]
        if readable:
            decoded = self._decoders.decode(readable, wanted)
            outcomes |= {passed[place]: wrong for place, wrong in decoded.wrong.items()}
            if decoded.pixels is not None:
                answers = self._predicted(described, decoded.pixels, version)
                places = (passed[place] for place in decoded.places)
                outcomes |= dict(zip(places, answers, strict=True))
        return [outcomes[place] for place in range(len(contents))]

    def close(self) -> None:
        self._channel.close()
        self._decoders.close()

    def _describe(self, version: int | None) -> _Described:
        with self._lock:
            if version in self._known:
                return self._known[version]
            request = self._request(version, "describe")
            request.inputs["query"].CopyFrom(to_tensor(np.array([b""], object)))
            answer = self._call(self._stubs.predict, request)
            described = self._parsed(answer)
            # A pinned run asks by number from now on.
            self._known[version] = self._known[described.number] = described
            return described

    def _parsed(self, answer: pb.PredictResponse) -> _Described:
        try:
            manifest = manifests.parse(_output(answer, "manifest").flat[0])
        except (ManifestError, IndexError, TypeError) as error:
            raise RefusedError(f"model {self._model}: its manifest makes no sense") from error
        if manifest.task != "classification" or manifest.input is None:
            raise RefusedError(f"model {self._model} is for {manifest.task}, no classifier")
        return _Described(answer.model_spec.version.value, manifest, manifest.input)

    def _predicted(
        self, described: _Described, pixels: NDArray[np.uint8], asked: int | None
    ) -> list[Outcome]:
        request = self._request(described.number, "serving_default")
        request.inputs["images"].CopyFrom(to_tensor(pixels))
        request.output_filter.append("probabilities")
        try:
            answer = self._call(self._stubs.predict, request, len(pixels))
        except VersionMissingError as error:
            if asked is not None:
                raise
            with self._lock:  # the run may go on with the version that took its place
                if self._known.get(None) is described:
                    self._known.pop(None)
            raise BusyError(str(error)) from error
        rows = _output(answer, "probabilities")
        expected = (len(pixels), described.manifest.classes)
        if rows.shape != expected or rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise AwayError(f"model {self._model} answered no {expected[1]} probabilities")
        return [self._answer(described, row.astype(np.float32, copy=False)) for row in rows]

    def _answer(self, described: _Described, row: NDArray[np.float32]) -> Answer:
        labels = described.manifest.labels
        order = np.argsort(-row, kind="stable")[: self._top_k]
        ranked = tuple(Ranked(labels[place], float(row[place])) for place in order)
        every = tuple(map(float, row)) if self._probabilities else None
        version = str(described.number)
        return Answer(version, ranked[0].label, ranked[0].probability, ranked, every)

    def _request(self, version: int | None, signature: str) -> pb.PredictRequest:
        request = pb.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        return request

    def _call(self, method: Callable[..., Any], request: Any, rows: int = 1) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._translated(error, rows) from error
        except ValueError as error:  # the channel was closed: the run ends
            raise AwayError(str(error)) from error

    def _translated(self, error: grpc.RpcError, rows: int) -> Exception:
        code, text = error.code(), f"{self._address}: {error.code().name}: {error.details()}"
        if code is grpc.StatusCode.NOT_FOUND:
            return VersionMissingError(text)
        if code in _BUSY:
            return BusyError(text)
        if code is grpc.StatusCode.INVALID_ARGUMENT and rows > 1:  # a server with smaller batches
            return TooMuchError(text)
        return RefusedError(text) if code in _REFUSED else AwayError(text)


def _here(content: Content) -> Content | Failed | Again:
    """Reads what another process can't read."""
    if content.local:
        return content
    try:
        return InMemory(content.read())
    except UnreadableError as error:
        return Failed(str(error))
    except StorageAwayError as error:
        return Again(str(error))


def _output(answer: pb.PredictResponse, name: str) -> NDArray[Any]:
    try:
        return to_array(answer.outputs[name])
    except TensorError as error:
        raise AwayError(f"output {name}: {error}") from error
