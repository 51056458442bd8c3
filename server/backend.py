"""Calls of the model server: typed answers, problems instead of gRPC's errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from contract.errors import TensorError
from contract.settings import Settings
from contract.wire import serving_pb2 as pb
from contract.wire import tls
from contract.wire.channel import open_channel
from contract.wire.stubs import model_server_stubs
from contract.wire.tensors import to_array, to_tensor
from server.calls import Calls
from server.deadline import Deadline
from server.greenlets import Threads
from server.problems import BAD_MODEL_ANSWER, Problem
from server.served import Ports

#: Which version is asked: its number, its label, or None for the newest that is available.
Version = int | str | None


class Backend:
    """The model server behind an address.

    Make it in the process that uses it: gRPC's channels do not survive a fork.

    Args:
        threads: wait for its answers.
    """

    def __init__(self, settings: Settings, threads: Threads) -> None:
        channel = open_channel(settings.model_server, tls.read(settings))
        self._stubs = model_server_stubs(channel)
        self._call = Calls(settings.timeout_seconds, threads)

    def describe(self, model: str, version: Version, deadline: Deadline) -> tuple[int, bytes]:
        """Asks a model for its manifest.

        Returns:
            the version that answered, and its manifest as JSON.

        Raises:
            VersionGoneError: the model has no such version; without a version: none at all.
            UnknownLabelError: the model has no such label.
            Problem: the model server is away or too slow, or the artifact has no `describe`.
        """
        request = _request(model, version, "describe")
        request.inputs["query"].CopyFrom(to_tensor(np.array([b""], object)))
        answer = self._call(self._stubs.predict, request, model, deadline, watched=False)
        manifest = _output(answer, "manifest")
        if manifest.size != 1 or not isinstance(manifest.flat[0], bytes):
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answers `describe` with no manifest")
        return answer.model_spec.version.value, manifest.flat[0]

    def signatures(
        self, model: str, version: Version, deadline: Deadline
    ) -> tuple[int, pb.SignatureDefMap]:
        """Asks for a model's signatures.

        Returns:
            the version that answered, and its signatures.

        Raises:
            VersionGoneError, UnknownLabelError, Problem: as of `describe`.
        """
        request = pb.GetModelMetadataRequest(metadata_field=["signature_def"])
        _choose(request.model_spec, model, version)
        answer = self._call(self._stubs.get_model_metadata, request, model, deadline, watched=False)
        try:
            found = pb.SignatureDefMap.FromString(answer.metadata["signature_def"].value)
        except DecodeError as error:
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answers no signatures") from error
        return answer.model_spec.version.value, found

    def predict(
        self, model: str, version: int, ports: Ports, images: NDArray[Any], deadline: Deadline
    ) -> NDArray[np.float32]:
        """Sends pixels [N, H, W, C] to one version; returns probabilities float32 [N, K].

        Raises:
            VersionGoneError: the model server does not have this version.
            BatchTooLargeError: the model server takes fewer images in a call.
            Problem: the model server is away or too slow, or its answer makes no sense.
        """
        request = _request(model, version, "serving_default")
        request.inputs[ports.input].CopyFrom(to_tensor(images))
        request.output_filter.append(ports.output)
        answer = self._call(self._stubs.predict, request, model, deadline)
        if answer.model_spec.version.value != version:
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answered for another version")
        probabilities = _output(answer, ports.output)
        shape, kind = probabilities.shape, probabilities.dtype.kind
        if len(shape) != 2 or shape[0] != len(images) or kind != "f":
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answered in a wrong shape or type")
        return probabilities.astype(np.float32, copy=False)

    def explain(
        self, model: str, version: int, images: NDArray[np.uint8], deadline: Deadline
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Asks one version what in images [N, H, W, C] speaks for their labels.

        Returns:
            heat maps float32 [N, h, w] from 0 to 1, and probabilities float32 [N, K].

        Raises:
            VersionGoneError: the model server does not have this version.
            Problem: as of `predict`; NOT_A_CLASSIFIER where there is no signature `explain`.
        """
        request = _request(model, version, "explain")
        request.inputs["images"].CopyFrom(to_tensor(images))
        request.output_filter.extend(("heatmap", "probabilities"))
        answer = self._call(self._stubs.predict, request, model, deadline)
        if answer.model_spec.version.value != version:
            raise Problem(BAD_MODEL_ANSWER, f"model {model} answered for another version")
        heatmaps, probabilities = _output(answer, "heatmap"), _output(answer, "probabilities")
        for output, axes in ((heatmaps, 3), (probabilities, 2)):
            sound = output.ndim == axes and output.dtype.kind == "f" and output.size
            if not sound or len(output) != len(images):
                raise Problem(BAD_MODEL_ANSWER, f"model {model} answered no explanations")
        return heatmaps.astype(np.float32), probabilities.astype(np.float32)

    def status(self, model: str, deadline: Deadline) -> list[pb.ModelVersionStatus]:
        """Returns the state of every version of a model that the server has seen.

        Raises:
            VersionGoneError: the model server does not know the model.
            Problem: the model server is away or too slow.
        """
        request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=model))
        answer = self._call(self._stubs.get_model_status, request, model, deadline, watched=False)
        return list(answer.model_version_status)


def _request(model: str, version: Version, signature: str) -> pb.PredictRequest:
    request = pb.PredictRequest()
    _choose(request.model_spec, model, version)
    request.model_spec.signature_name = signature
    return request


def _choose(spec: pb.ModelSpec, model: str, version: Version) -> None:
    spec.name = model
    if isinstance(version, str):
        spec.version_label = version
    elif version is not None:
        spec.version.value = version


def _output(answer: pb.PredictResponse, name: str) -> NDArray[Any]:
    try:
        return to_array(answer.outputs[name])
    except TensorError as error:
        raise Problem(BAD_MODEL_ANSWER, f"output {name}: {error}") from error
