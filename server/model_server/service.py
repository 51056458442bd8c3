"""The gRPC side: the table of methods, and how errors and deadlines become statuses."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import (
    ClassificationRequest,
    ClassificationResult,
)
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from server.model_server import classify, inference, metadata, predict, regress, reload, status
from server.model_server.choose import chosen, served
from server.model_server.errors import ServingError, cut
from server.model_server.manager import Manager
from server.model_server.monitoring import Metrics
from server.model_server.predict_call import PredictCall, parse
from server.model_server.reload import Configuration
from server.model_server.timed import timed

log = logging.getLogger(__name__)

Answer = Callable[[Any, float | None], Any]
"""A method: the request and the seconds left to the caller (None: for ever) → the response."""

HEALTH_NAMES = ("", "ModelService", "PredictionService")

_COUNTED = ("Predict", "Classify", "Regress")
"""The methods that TensorFlow Serving's metrics tell of."""

_OPTIONS = [
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", -1),
    # Without this a second server on the same port would start, and take half of the calls.
    ("grpc.so_reuseport", 0),
]


_EVER = 1e9


@dataclass(frozen=True)
class Method:
    """A method of a service: what reads its request, and what answers."""

    read: Callable[[bytes], Any]
    answer: Answer


def methods(
    manager: Manager, as_content: bool, configuration: Configuration, metrics: Metrics
) -> dict[str, dict[str, Method]]:
    """Every method by service and name: the whole API on one page."""

    def predicted(call: PredictCall, seconds: float | None) -> Any:
        with chosen(manager, call.request) as servable:
            model = timed(servable, metrics, call.request, "Predict")
            return predict.predict(model, call.request, seconds, as_content, call.contents)

    def classified(request: Any, seconds: float | None) -> Any:
        with chosen(manager, request) as servable:
            model = timed(servable, metrics, request, "Classify")
            return classify.classify(model, request, seconds)

    def regressed(request: Any, seconds: float | None) -> Any:
        with chosen(manager, request) as servable:
            model = timed(servable, metrics, request, "Regress")
            return regress.regress(model, request, seconds)

    def inferred(request: Any, seconds: float | None) -> Any:
        with served(manager, inference.model_spec(request)) as servable:
            return inference.multi_inference(servable, request, seconds)

    def described(request: Any, seconds: float | None) -> Any:  # noqa: ARG001
        metadata.check_fields(request)
        with chosen(manager, request) as servable:
            return metadata.metadata(servable, request.model_spec.name)

    def told(request: Any, seconds: float | None) -> Any:  # noqa: ARG001
        return status.model_status(manager, request)

    def reloaded(request: Any, seconds: float | None) -> Any:
        return reload.handle(configuration, metrics, request, seconds)

    return {
        "tensorflow.serving.PredictionService": {
            "Predict": Method(parse, predicted),
            "GetModelMetadata": Method(GetModelMetadataRequest.FromString, described),
            "Classify": Method(ClassificationRequest.FromString, classified),
            "Regress": Method(RegressionRequest.FromString, regressed),
            "MultiInference": Method(MultiInferenceRequest.FromString, inferred),
        },
        "tensorflow.serving.ModelService": {
            "GetModelStatus": Method(GetModelStatusRequest.FromString, told),
            "HandleReloadConfigRequest": Method(ReloadConfigRequest.FromString, reloaded),
        },
    }


@dataclass
class Server:
    """A gRPC server with its ports bound, not yet answering."""

    grpc_server: Any
    port: int
    health: Any | None

    def start(self) -> None:
        self.grpc_server.start()

    def drain(self, manager: Manager, patience_seconds: float = 30.0) -> None:
        """Take no new call and finish those in flight.

        After `patience_seconds` only requests that run on a model are waited for: a client that
        watches the health service would keep its call open for ever.
        """
        if self.health is not None:
            self.health.enter_graceful_shutdown()
        stopped = self.grpc_server.stop(grace=10**6)
        while not stopped.wait(patience_seconds):
            if manager.in_use() == 0:
                self.grpc_server.stop(grace=0).wait()


def build(
    table: dict[str, dict[str, Method]],
    addresses: list[str],
    threads: int,
    with_health: bool,
    credentials: Any | None = None,
    channel_arguments: Sequence[tuple[str, int | str]] = (),
    metrics: Metrics | None = None,
) -> Server:
    """Bind the addresses for the methods of `table`.

    Args:
        table: The methods by service and name.
        addresses: In gRPC's notation.
        threads: How many calls are worked on at the same time.
        with_health: Whether to offer grpc.health.v1.Health.
        credentials: What all addresses, Unix sockets as well, are encrypted with; None not at all.
        channel_arguments: Settings of gRPC's core, which beat our own.
        metrics: Where calls are counted.

    Raises:
        RuntimeError: An address can't be bound.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="grpc")
    # Of two settings with one name gRPC would take the first.
    settings = dict(_OPTIONS) | dict(channel_arguments)
    grpc_server = grpc.server(pool, options=list(settings.items()))
    metrics = metrics or Metrics()
    for service, entries in table.items():
        handlers = {name: _handler(name, method, metrics) for name, method in entries.items()}
        grpc_server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )
    checker = None
    if with_health:
        checker = health.HealthServicer(experimental_non_blocking=True)
        health_pb2_grpc.add_HealthServicer_to_server(checker, grpc_server)
        for name in HEALTH_NAMES:
            checker.set(name, health_pb2.HealthCheckResponse.SERVING)
    ports = [_bind(grpc_server, address, credentials) for address in addresses]
    return Server(grpc_server, ports[0], checker)


def _bind(grpc_server: Any, address: str, credentials: Any | None) -> int:
    if credentials is None:
        return int(grpc_server.add_insecure_port(address))
    return int(grpc_server.add_secure_port(address, credentials))


def _count_examples(metrics: Metrics, name: str, response: Any) -> None:
    if name in ("Classify", "Regress"):
        spec, result = response.model_spec, response.result
    elif name == "MultiInference":  # Its tasks are about the same examples.
        first = response.results[0]
        spec, result = first.model_spec, getattr(first, first.WhichOneof("result"))
    else:
        return
    classified = isinstance(result, ClassificationResult)
    metrics.examples(spec.name, len(result.classifications if classified else result.regressions))


def _left(context: Any) -> float | None:
    """The seconds left to the caller; None for ever, for which gRPC says 292 thousand years."""
    seconds = float(context.time_remaining())
    return seconds if seconds < _EVER else None


def _handler(name: str, method: Method, metrics: Metrics) -> Any:
    def call(request: Any, context: Any) -> Any:
        began = time.monotonic()
        response, error = None, None
        try:
            # The call may have waited for a thread; TensorFlow Serving runs none that is late.
            seconds = _left(context)
            if seconds is not None and seconds <= 0:
                raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            response = method.answer(request, seconds)
        except ServingError as raised:
            error = raised
        except Exception:
            log.exception("%s failed in an unexpected way", name)
            error = ServingError(grpc.StatusCode.INTERNAL, "internal error, see the server's log")
        if name in _COUNTED:
            model = request.model_spec.name
            metrics.request(model, error.code.name if error else "OK")
            if error is None:
                metrics.latency(model, name, "GRPC", time.monotonic() - began)
        if error is None:
            _count_examples(metrics, name, response)
        return context.abort(error.code, cut(error.text)) if error else response

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=method.read,
        response_serializer=lambda response: response.SerializeToString(),
    )
