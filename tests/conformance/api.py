"""Calls as any client makes them: gRPC by the published stubs, REST by http.client."""

import contextlib
import gzip
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

PATIENCE = 120.0
"""Seconds that a call gets: far more than it needs, so that a busy machine fails no test."""

OK = "OK"


@dataclass(frozen=True)
class Answer:
    """What a gRPC call ended with."""

    code: str
    text: str
    message: Any = None


@dataclass(frozen=True)
class Reply:
    """What a REST request was answered with."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Api:
    """A server seen from outside.

    Args:
        channel: Its gRPC channel.
        rest: Its REST address, `host:port`; empty if it has none.
    """

    def __init__(self, channel: Any, rest: str = "") -> None:
        self.channel = channel
        self.rest = rest
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        model = model_service_pb2_grpc.ModelServiceStub(channel)
        self._methods = {
            predict_pb2.PredictRequest: prediction.Predict,
            classification_pb2.ClassificationRequest: prediction.Classify,
            regression_pb2.RegressionRequest: prediction.Regress,
            inference_pb2.MultiInferenceRequest: prediction.MultiInference,
            get_model_metadata_pb2.GetModelMetadataRequest: prediction.GetModelMetadata,
            get_model_status_pb2.GetModelStatusRequest: model.GetModelStatus,
            model_management_pb2.ReloadConfigRequest: model.HandleReloadConfigRequest,
        }

    def start(self, request: Any, timeout: float = PATIENCE, metadata: Any = None) -> Any:
        """Send a request to the method that takes it; returns the call in flight."""
        return self._methods[type(request)].future(request, timeout=timeout, metadata=metadata)

    def ask(self, request: Any, timeout: float = PATIENCE, metadata: Any = None) -> Answer:
        return answer_of(self.start(request, timeout, metadata))

    def states(self, model: str) -> dict[int, str]:
        """The versions of a model that the server knows of, with the names of their states."""
        answer = self.ask(status_request(model))
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        versions = answer.message.model_version_status if answer.message else ()
        return {entry.version: names(entry.state) for entry in versions}

    def errors(self, model: str) -> dict[int, tuple[int, str]]:
        """The error of each version of a model: its code's number, and the text."""
        versions = self.ask(status_request(model)).message.model_version_status
        return {v.version: (v.status.error_code, v.status.error_message) for v in versions}

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One REST request; a body that isn't bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.rest, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.read(), dict(response.getheaders()))

    def rest_answers(self) -> bool:
        try:
            return bool(self.call("GET", "/v1/models").status)
        except OSError:
            return False


def answer_of(call: Any) -> Answer:
    """The end of a call in flight."""
    error = call.exception()
    if error is None:
        return Answer(OK, "", call.result())
    return Answer(call.code().name, call.details())


@contextmanager
def channel_to(address: str) -> Iterator[Any]:
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Each test's own connection, though many servers come and go.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(address, options=options) as channel:
        yield channel


def fill_spec(
    spec: Any,
    model: str | None,
    signature: str = "",
    version: int | None = None,
    label: str = "",
) -> None:
    """Fill in a ModelSpec; with None as model it stays absent."""
    if model is None:
        return
    spec.SetInParent()
    spec.name = model
    spec.signature_name = signature
    if version is not None:
        spec.version.SetInParent()
        spec.version.value = version
    if label:
        spec.version_label = label


def predict_request(
    model: str | None, output_filter: Sequence[str] = (), spec: Any = None, **inputs: Any
) -> Any:
    """A PredictRequest; inputs are TensorProtos or what NumPy makes arrays of."""
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    fill_spec(request.model_spec, model, **(spec or {}))
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tensor(value))
    return request


def tensor(value: Any) -> Any:
    return value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)


def example(**features: Any) -> Any:
    """A tf.Example; floats, ints or bytes, one or a list."""
    made = tf.train.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        kinds = {float: "float_list", int: "int64_list", bytes: "bytes_list"}
        kind = kinds[type(values[0])] if values else "float_list"
        getattr(made.features.feature[name], kind).value.extend(values)
    return made


def fill_input(request: Any, examples: Sequence[Any], context: Any = None) -> Any:
    """Put examples into a request for classify, regress or MultiInference; returns it."""
    if context is not None:
        request.input.example_list_with_context.context.CopyFrom(context)
        request.input.example_list_with_context.examples.extend(examples)
    else:
        request.input.example_list.examples.extend(examples)
    return request


def classify_request(model: str | None, *examples: Any, context: Any = None, **spec: Any) -> Any:
    request = classification_pb2.ClassificationRequest()
    fill_spec(request.model_spec, model, **spec)
    return fill_input(request, examples, context)


def regress_request(model: str | None, *examples: Any, context: Any = None, **spec: Any) -> Any:
    request = regression_pb2.RegressionRequest()
    fill_spec(request.model_spec, model, **spec)
    return fill_input(request, examples, context)


def inference_request(tasks: Sequence[tuple[str, dict[str, Any]]], *examples: Any) -> Any:
    """A MultiInferenceRequest; a task is the method's last word and what `fill_spec` takes."""
    request = inference_pb2.MultiInferenceRequest()
    for method, spec in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        fill_spec(task.model_spec, **spec)
    return fill_input(request, examples)


def metadata_request(model: str | None, *fields: str, **spec: Any) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    fill_spec(request.model_spec, model, **spec)
    return request


def status_request(model: str | None, **spec: Any) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    fill_spec(request.model_spec, model, **spec)
    return request


def shaped(dtype: Any, *shape: int, **fields: Any) -> Any:
    """A TensorProto of a dtype's name or number and a shape; the values in whatever field."""
    number = tf.dtypes.as_dtype(dtype).as_datatype_enum if isinstance(dtype, str) else dtype
    made = tf.make_tensor_proto(0.0)
    made.Clear()
    made.dtype = number
    made.tensor_shape.SetInParent()
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        if isinstance(value, bytes):
            setattr(made, name, value)
        else:
            getattr(made, name).extend(value)
    return made


def of_unknown_rank(dtype: str, **fields: Any) -> Any:
    made = shaped(dtype, **fields)
    made.tensor_shape.unknown_rank = True
    return made


def arrays(response: Any) -> dict[str, np.ndarray]:
    """The outputs of a PredictResponse."""
    return {alias: tf.make_ndarray(proto) for alias, proto in response.outputs.items()}


def zipped(body: Any) -> bytes:
    return gzip.compress(json.dumps(body).encode())
