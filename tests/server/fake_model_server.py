"""A model server in this process that can be slow, away, wrong, or switch versions."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np

from contract import manifest as manifests
from contract.manifest import Manifest
from contract.wire import serving_pb2 as pb
from contract.wire.tensors import to_array, to_tensor


@dataclass
class FakeModelServer:
    """What the fake serves and how it misbehaves; change the fields while it runs.

    Attributes:
        models: name → version number → manifest; the highest number is the newest.
        fail: the status that every call is answered with, instead of an answer.
        delay: seconds before a prediction is answered.
        wrong: one of "rows", "classes", "nan", "text", "version", "missing", "manifest".
        calls: (model, version, signature, shape of the images) of each prediction.
    """

    models: dict[str, dict[int, Manifest]]
    fail: grpc.StatusCode | None = None
    delay: float = 0.0
    wrong: str | None = None
    calls: list[tuple[str, int | None, str, tuple[int, ...]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def predict(self, request: pb.PredictRequest, context: grpc.ServicerContext) -> object:
        spec = request.model_spec
        asked = spec.version.value if spec.HasField("version") else None
        images = to_array(request.inputs["images"]) if "images" in request.inputs else np.zeros(0)
        with self.lock:
            self.calls.append((spec.name, asked, spec.signature_name, images.shape))
            versions = dict(self.models.get(spec.name, {}))
        if self.fail is not None:
            context.abort(self.fail, "the fake fails")
        number = asked if asked is not None else max(versions, default=-1)
        if number not in versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {number}")
        manifest = versions[number]
        response = pb.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = number + (self.wrong == "version")
        if spec.signature_name == "describe":
            text = b"{}" if self.wrong == "manifest" else manifests.encode(manifest)
            response.outputs["manifest"].CopyFrom(to_tensor(np.array([text], object)))
            return response
        time.sleep(self.delay)
        assert manifest.input is not None
        wanted = (manifest.input.height, manifest.input.width, manifest.input.channels)
        if images.shape[1:] != wanted or images.dtype != np.uint8:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the fake wants another shape")
        probabilities = self._probabilities(images, manifest)
        if self.wrong == "text":
            probabilities = np.full(probabilities.shape, b"0.5", object)
        response.outputs["probabilities"].CopyFrom(to_tensor(probabilities))
        if self.wrong == "missing":
            response.outputs.clear()
        return response

    def _probabilities(self, images: np.ndarray, manifest: Manifest) -> np.ndarray:
        """The class is the mean brightness, from dark to light."""
        rows = np.zeros((len(images), manifest.classes), np.float32)
        for row, image in zip(rows, images, strict=True):
            row[:] = 0.1 / (manifest.classes - 1)
            row[min(int(image.mean() / 256 * manifest.classes), manifest.classes - 1)] = 0.9
        if self.wrong == "rows":
            return rows[:-1]
        if self.wrong == "classes":
            return rows[:, :-1]
        if self.wrong == "nan":
            rows[:] = np.nan
        return rows

    def status(self, request: pb.GetModelStatusRequest, context: grpc.ServicerContext) -> object:
        if self.fail is not None:
            context.abort(self.fail, "the fake fails")
        versions = self.models.get(request.model_spec.name, {})
        if not versions:
            context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
        answer = pb.GetModelStatusResponse()
        for number in sorted(versions, reverse=True):
            answer.model_version_status.add(version=number, state=pb.ModelVersionStatus.AVAILABLE)
        return answer


@contextmanager
def running(fake: FakeModelServer) -> Iterator[FakeModelServer]:
    """Serves the fake on a free loopback port."""
    server = grpc.server(ThreadPoolExecutor(16))
    methods = {
        ("tensorflow.serving.PredictionService", "Predict"): (fake.predict, pb.PredictRequest),
        ("tensorflow.serving.ModelService", "GetModelStatus"): (
            fake.status,
            pb.GetModelStatusRequest,
        ),
    }
    for (service, name), (call, request) in methods.items():
        handler = grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {name: handler}),)
        )
    fake.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield fake
    finally:
        server.stop(0).wait()
