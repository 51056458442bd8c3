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
        fail_next: the statuses of the next predictions, which are then answered again.
        labels: model → label → the version that it points to.
        most_rows: larger batches are refused; None takes any.
        foreign: the `serving_default` of all models, which then have no `describe`; of its outputs
            the first by name is answered.
        calls: (model, version or label, signature, shape of the images) of each prediction.
        patience: for each prediction the seconds that its caller would wait.
        metadata: for each prediction what else its caller told.
    """

    models: dict[str, dict[int, Manifest]]
    fail: grpc.StatusCode | None = None
    delay: float = 0.0
    wrong: str | None = None
    fail_next: list[grpc.StatusCode] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    most_rows: int | None = None
    foreign: pb.SignatureDef | None = None
    calls: list[tuple[str, int | str | None, str, tuple[int, ...]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def predict(self, request: pb.PredictRequest, context: grpc.ServicerContext) -> object:
        spec = request.model_spec
        asked = asked_version(spec)
        name = min(self.foreign.inputs) if self.foreign else "images"
        images = to_array(request.inputs[name]) if name in request.inputs else np.zeros(0)
        with self.lock:
            self.calls.append((spec.name, asked, spec.signature_name, images.shape))
            self.patience.append(context.time_remaining())
            self.metadata.append(dict(context.invocation_metadata()))
            versions = dict(self.models.get(spec.name, {}))
            failure = self.fail_next.pop(0) if self.fail_next else self.fail
        if failure is not None:
            context.abort(failure, "the fake fails")
        number = self._number(spec, versions, context)
        manifest = versions[number]
        response = pb.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = number + (self.wrong == "version")
        if spec.signature_name == "describe" and self.foreign is not None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'key "describe" not found.')
        if spec.signature_name == "describe":
            text = b"{}" if self.wrong == "manifest" else manifests.encode(manifest)
            response.outputs["manifest"].CopyFrom(to_tensor(np.array([text], object)))
            return response
        time.sleep(self.delay)
        assert manifest.input is not None
        wanted = (manifest.input.height, manifest.input.width, manifest.input.channels)
        dtype = np.float32 if self._wants_floats(name) else np.uint8
        fits = all(
            size == (want or size) for size, want in zip(images.shape[1:], wanted, strict=False)
        )
        if images.ndim != 4 or not fits or images.dtype != dtype:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the fake wants another shape")
        if self.most_rows is not None and len(images) > self.most_rows:
            most = f"larger than maximum input batch size {self.most_rows}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Task size {len(images)} is {most}")
        probabilities = self._probabilities(images, manifest)
        if spec.signature_name == "explain":
            if manifest.explanation is None:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such signature")
            heatmap = self._heatmaps(images)
            response.outputs["heatmap"].CopyFrom(to_tensor(heatmap))
        if self.wrong == "text":
            probabilities = np.full(probabilities.shape, b"0.5", object)
        output = min(self.foreign.outputs) if self.foreign else "probabilities"
        response.outputs[output].CopyFrom(to_tensor(probabilities))
        if self.wrong == "missing":
            response.outputs.clear()
        return response

    def _heatmaps(self, images: np.ndarray) -> np.ndarray:
        """Brightness by quarters of height and width: bright is what counts."""
        blocks = images.reshape(len(images), 2, images.shape[1] // 2, 2, -1)
        heatmap = (blocks.mean(axis=(2, 4)) / 255).astype(np.float32)
        return np.full_like(heatmap, np.nan) if self.wrong == "nan" else heatmap

    def _number(
        self, spec: pb.ModelSpec, versions: dict[int, Manifest], context: grpc.ServicerContext
    ) -> int:
        asked = asked_version(spec)
        if isinstance(asked, str):
            labels = self.labels.get(spec.name, {})
            if asked not in labels:
                text = f"Unrecognized servable version label: {asked}"
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
            asked = labels[asked]
        number = asked if asked is not None else max(versions, default=-1)
        if number not in versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {number}")
        return number

    def _wants_floats(self, name: str) -> bool:
        return self.foreign is not None and self.foreign.inputs[name].dtype == pb.DT_FLOAT

    def signatures(
        self, request: pb.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> object:
        versions = self.models.get(request.model_spec.name, {})
        answer = pb.GetModelMetadataResponse()
        answer.model_spec.name = request.model_spec.name
        answer.model_spec.version.value = self._number(request.model_spec, versions, context)
        signatures = pb.SignatureDefMap()
        if self.foreign is None:
            signatures.signature_def["describe"].inputs["query"].dtype = pb.DT_STRING
        else:
            signatures.signature_def["serving_default"].CopyFrom(self.foreign)
        answer.metadata["signature_def"].value = signatures.SerializeToString()
        return answer

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


def asked_version(spec: pb.ModelSpec) -> int | str | None:
    """The version that a call names, by number or by label; None: whichever is the newest."""
    if spec.version_label:
        return spec.version_label
    return spec.version.value if spec.HasField("version") else None


@contextmanager
def running(
    fake: FakeModelServer, credentials: grpc.ServerCredentials | None = None
) -> Iterator[FakeModelServer]:
    """Serves the fake on a free loopback port, with TLS if there are credentials."""
    server = grpc.server(ThreadPoolExecutor(16))
    methods = {
        ("tensorflow.serving.PredictionService", "Predict"): (fake.predict, pb.PredictRequest),
        ("tensorflow.serving.PredictionService", "GetModelMetadata"): (
            fake.signatures,
            pb.GetModelMetadataRequest,
        ),
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
    fake.port = (
        server.add_secure_port("127.0.0.1:0", credentials)
        if credentials
        else server.add_insecure_port("127.0.0.1:0")
    )
    server.start()
    try:
        yield fake
    finally:
        server.stop(0).wait()
