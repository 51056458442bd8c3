"""What the tests of the embedded model server share: tiny SavedModels, requests, waiting."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from server.model_server.config import ModelConfig
from server.model_server.flags import Options
from server.model_server.loading import make_loader
from server.model_server.manager import Manager, Retries
from server.model_server.monitoring import Metrics
from server.model_server.reload import Configuration
from server.model_server.rest import Rest
from server.model_server.rest_http import RestServer
from server.model_server.service import build, methods
from server.model_server.source import Poller

PATIENCE = 120.0
"""Seconds that a condition gets: far more than it needs, so that a busy machine fails no test."""


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """The first true value of `condition`; the test fails if there is none for PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return pytest.fail(f"never came true: {what or condition}")


def save_scaler(folder: Path, factor: float) -> None:
    """x float32 [N, 4] → y = x × factor; more signatures: `pair` adds two inputs,
    `wait` runs until there is a file called path + "0", `echo` gives strings back.
    """

    class Scaler(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(factor)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def scale(self, x: Any) -> Any:
            return {"y": x * self.factor}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 4], tf.float32, name="a"),
                tf.TensorSpec([None, 4], tf.float32, name="b"),
            ]
        )
        def pair(self, a: Any, b: Any) -> Any:
            return {"sum": a + b, "difference": a - b}

        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
        def wait(self, path: Any) -> Any:
            def missing(i: Any) -> Any:
                # The name depends on i, so that the optimiser can't look just once.
                name = tf.strings.join([path, tf.strings.as_string(i % 1)])
                return tf.equal(tf.size(tf.io.matching_files(name)), 0)

            return {"looks": tf.while_loop(missing, lambda i: (i + 1,), [tf.constant(1)])[0]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def echo(self, text: Any) -> Any:
            return {"text": text, "length": tf.strings.length(text)}

    module = Scaler()
    signatures = {
        "serving_default": module.scale,
        "pair": module.pair,
        "wait": module.wait,
        "echo": module.echo,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def save_convolution(folder: Path) -> None:
    """images uint8 [N, 8, 8, 3] → probabilities float32 [N, 2], behind a convolution."""

    class Convolution(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 3, 2], [1, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8, name="images")])
        def classify(self, images: Any) -> Any:
            pixels = tf.cast(images, tf.float32) / 255.0
            maps = tf.nn.conv2d(pixels, self.kernel, 1, "SAME")
            return {"probabilities": tf.nn.softmax(tf.reduce_mean(maps, [1, 2]))}

    module = Convolution()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.classify})


def save_neuron(folder: Path) -> None:
    """x float32 [N, 1] → y float32 [N, 1] = 1.1 x + 0.25."""

    class Neuron(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
        def predict(self, x: Any) -> Any:
            return {"y": x * 1.1 + 0.25}

    module = Neuron()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.predict})


def save_features(folder: Path) -> None:
    """images uint8 [N, 8, 8, 3] → features float32 [N, 4, 4, 2], a convolution with steps of 2."""

    class Features(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 3, 2], [3, 4]))

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8, name="images")])
        def extract(self, images: Any) -> Any:
            pixels = tf.cast(images, tf.float32) / 255.0
            return {"features": tf.nn.relu(tf.nn.conv2d(pixels, self.kernel, 2, "SAME"))}

    module = Features()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.extract})


def save_mixed(folder: Path) -> None:
    """Three inputs of [N], `text`, `flag` and `number` (int64), given back in several dtypes."""

    class Mixed(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, name="text"),
                tf.TensorSpec([None], tf.bool, name="flag"),
                tf.TensorSpec([None], tf.int64, name="number"),
            ]
        )
        def give_back(self, text: Any, flag: Any, number: Any) -> Any:
            return {
                "text": text,
                "text_bytes": text,
                "flag": flag,
                "number": number,
                "half": tf.cast(number, tf.float16) / 10,
                "root": tf.sqrt(tf.cast(number, tf.float64)),
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, name="x")])
        def small(self, x: Any) -> Any:
            return {"y": tf.cast(x, tf.uint16)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="x")])
        def short(self, x: Any) -> Any:
            return {"y": tf.cast(x, tf.uint16)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def uneven(self, x: Any) -> Any:
            return {"all": x, "one": x[:1]}

    module = Mixed()
    signatures = {
        "serving_default": module.give_back,
        "small": module.small,
        "short": module.short,
        "uneven": module.uneven,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def add_defaults(folder: Path, signature: str, alias: str, values: Sequence[float]) -> None:
    """Give an input of a saved signature a default, which Python's API can't."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signatures = model.meta_graphs[0].signature_def
    signatures[signature].defaults[alias].CopyFrom(tf.make_tensor_proto([list(values)], tf.float32))
    path.write_bytes(model.SerializeToString())


def write_warmup(folder: Path, logs: Sequence[Any]) -> None:
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for entry in logs:
            writer.write(entry.SerializeToString())


def predict_log(request: Any) -> Any:
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )


def request_for(
    model: str = "m",
    signature: str = "",
    version: int | None = None,
    label: str = "",
    output_filter: Sequence[str] = (),
    **inputs: Any,
) -> Any:
    """A PredictRequest; inputs may be arrays or TensorProtos."""
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for alias, value in inputs.items():
        proto = value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)
        request.inputs[alias].CopyFrom(proto)
    return request


def ones(rows: int = 1) -> np.ndarray:
    return np.ones((rows, 4), np.float32)


Answer = tuple[int, Any]
"""What REST answered: the status, and the parsed body."""


def rest_call(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """One REST request on a connection of its own; a body that isn't bytes is sent as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null")


@contextmanager
def rest_running(manager: Any, **settings: Any) -> Iterator[RestServer]:
    """A REST server in this process on a free port."""
    settings = {"threads": 4, "timeout_seconds": PATIENCE} | settings
    server = RestServer("127.0.0.1", 0, Rest(manager, **settings))
    server.start()
    try:
        yield server
    finally:
        server.stop_accepting()
        server.drain(patience_seconds=1.0)


class Api:
    """The stubs of a running server, and what a call answered."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self.prediction.Predict(request_for(*args, **kwargs), timeout=PATIENCE)


@dataclass
class Served:
    """The same models on two ports."""

    api: Api
    manager: Manager
    port: int

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return rest_call(self.port, method, path, body, named)

    def predict(self, model: str, body: Any) -> Answer:
        return self.call("POST", f"/v1/models/{model}:predict", body)


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The status and text that a call fails with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


@contextmanager
def channel_to(address: str) -> Iterator[Any]:
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Each test's own connection, though many servers come and go in this process.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(address, options=options) as channel:
        yield channel


@contextmanager
def running(
    *models: ModelConfig, health: bool = False, retries: int = 0, **flags: Any
) -> Iterator[tuple[Api, Manager, Poller]]:
    """A server in this process on a free port; the test says when to look at the disk."""
    options = Options(port=0, enable_grpc_healthcheck_service=health, **flags)
    manager = Manager(make_loader(options), Retries(retries, 0.01))
    poller = Poller(0, manager.aspire)
    poller.watch(models)
    configuration = Configuration(manager, poller)
    as_content = options.enable_serialization_as_tensor_content
    table = methods(manager, as_content, configuration, Metrics())
    server = build(table, ["127.0.0.1:0"], 8, health)
    server.start()
    try:
        with channel_to(f"127.0.0.1:{server.port}") as channel:
            yield Api(channel), manager, poller
    finally:
        server.drain(manager)
        manager.close()


def states(manager: Manager, name: str = "m") -> dict[int, str]:
    return {number: state.name for number, (state, _) in manager.statuses(name).items()}


def settled(manager: Manager, name: str, expected: dict[int, str]) -> None:
    """Wait until the versions of a model are in these states."""
    until(lambda: states(manager, name) == expected, f"{expected} of {name}")
