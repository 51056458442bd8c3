"""Calls of the model server: typed answers, problems instead of gRPC's errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from contract.errors import TensorError
from contract.wire import serving_pb2 as pb
from contract.wire.stubs import model_server_stubs
from contract.wire.tensors import to_array, to_tensor
from server import metrics
from server.channel import open_channel
from server.deadline import Deadline
from server.problems import (
    BAD_MODEL_ANSWER,
    NOT_A_CLASSIFIER,
    TIMEOUT,
    UNAVAILABLE,
    Problem,
    VersionGoneError,
)


class Backend:
    """The model server behind an address.

    Make it in the process that uses it: gRPC's channels do not survive a fork.
    """

    def __init__(self, address: str) -> None:
        self._stubs = model_server_stubs(open_channel(address))

    def describe(self, model: str, version: int | None, deadline: Deadline) -> tuple[int, bytes]:
        """Asks a model for its manifest.

        Args:
            version: None asks the newest that is available.

        Returns:
            the version that answered, and its manifest as JSON.

        Raises:
            VersionGoneError: the model has no such version; without a version: none at all.
            Problem: the model server is away or too slow, or the artifact has no `describe`.
        """
        request = _request(model, version, "describe")
        request.inputs["query"].CopyFrom(to_tensor(np.array([b""], object)))
        answer = self._call(self._stubs.predict, request, model, deadline)
        manifest = _output(answer, "manifest")
        if manifest.size != 1 or not isinstance(manifest.flat[0], bytes):
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answers `describe` with no manifest")
        return answer.model_spec.version.value, manifest.flat[0]

    def predict(
        self, model: str, version: int, images: NDArray[np.uint8], deadline: Deadline
    ) -> NDArray[np.float32]:
        """Sends pixels uint8 [N, H, W, C] to one version; returns probabilities float32 [N, K].

        Raises:
            VersionGoneError: the model server does not have this version.
            Problem: the model server is away or too slow, or its answer makes no sense.
        """
        request = _request(model, version, "serving_default")
        request.inputs["images"].CopyFrom(to_tensor(images))
        request.output_filter.append("probabilities")
        answer = self._call(self._stubs.predict, request, model, deadline)
        if answer.model_spec.version.value != version:
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answered for another version")
        probabilities = _output(answer, "probabilities")
        shape, kind = probabilities.shape, probabilities.dtype.kind
        if len(shape) != 2 or shape[0] != len(images) or kind != "f":
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answered in a wrong shape or type")
        return probabilities.astype(np.float32, copy=False)

    def status(self, model: str, deadline: Deadline) -> list[pb.ModelVersionStatus]:
        """Returns the state of every version of a model that the server has seen.

        Raises:
            VersionGoneError: the model server does not know the model.
            Problem: the model server is away or too slow.
        """
        request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=model))
        answer = self._call(self._stubs.get_model_status, request, model, deadline)
        return list(answer.model_version_status)

    def _call(
        self, method: Callable[..., Any], request: Any, model: str, deadline: Deadline
    ) -> Any:
        try:
            answer = method(request, timeout=deadline.left())
        except grpc.RpcError as error:
            metrics.BACKEND_REQUESTS.labels(model, error.code().name).inc()
            raise _translated(error, model) from error
        metrics.BACKEND_REQUESTS.labels(model, "OK").inc()
        return answer


def _translated(error: grpc.RpcError, model: str) -> Exception:
    code = error.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return VersionGoneError(model)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Problem(TIMEOUT, f"model {model} did not answer in time")
    if code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ):
        return Problem(UNAVAILABLE, f"the model server of {model} can't be reached or is busy")
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return Problem(
            NOT_A_CLASSIFIER, f"model {model} has not the signatures of an image classifier"
        )
    return Problem(BAD_MODEL_ANSWER, f"the model server refused a call of {model}: {code.name}")


def _request(model: str, version: int | None, signature: str) -> pb.PredictRequest:
    request = pb.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    return request


def _output(answer: pb.PredictResponse, name: str) -> NDArray[Any]:
    try:
        return to_array(answer.outputs[name])
    except TensorError as error:
        raise Problem(BAD_MODEL_ANSWER, f"output {name}: {error}") from error
