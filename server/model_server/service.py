"""The gRPC side: the table of methods, and how errors and deadlines become statuses."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from server.model_server import metadata, predict, status
from server.model_server.choose import chosen
from server.model_server.errors import ServingError, cut, unimplemented
from server.model_server.manager import Manager

log = logging.getLogger(__name__)

Answer = Callable[[Any, float | None], Any]
"""A method: the request and the seconds left to the caller (None: for ever) → the response."""

HEALTH_NAMES = ("", "ModelService", "PredictionService")

_OPTIONS = [
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", -1),
    # Without this a second server on the same port would start, and take half of the calls.
    ("grpc.so_reuseport", 0),
]


@dataclass(frozen=True)
class Method:
    """A method of a service: the type of its request, and what answers."""

    request: Any
    answer: Answer


def methods(manager: Manager, as_content: bool) -> dict[str, dict[str, Method]]:
    """Every method by service and name: the whole API on one page."""

    def predicted(request: Any, seconds: float | None) -> Any:
        with chosen(manager, request) as servable:
            return predict.predict(servable, request, seconds, as_content)

    def described(request: Any, seconds: float | None) -> Any:  # noqa: ARG001
        metadata.check_fields(request)
        with chosen(manager, request) as servable:
            return metadata.metadata(servable, request.model_spec.name)

    def told(request: Any, seconds: float | None) -> Any:  # noqa: ARG001
        return status.model_status(manager, request)

    return {
        "tensorflow.serving.PredictionService": {
            "Predict": Method(predict_pb2.PredictRequest, predicted),
            "GetModelMetadata": Method(get_model_metadata_pb2.GetModelMetadataRequest, described),
            "Classify": _missing("Classify", classification_pb2.ClassificationRequest),
            "Regress": _missing("Regress", regression_pb2.RegressionRequest),
            "MultiInference": _missing("MultiInference", inference_pb2.MultiInferenceRequest),
        },
        "tensorflow.serving.ModelService": {
            "GetModelStatus": Method(get_model_status_pb2.GetModelStatusRequest, told),
            "HandleReloadConfigRequest": _missing(
                "HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest
            ),
        },
    }


def _missing(name: str, request: Any) -> Method:
    def refuse(request: Any, seconds: float | None) -> Any:  # noqa: ARG001
        raise unimplemented(f"{name} is not offered by this model server")

    return Method(request, refuse)


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
) -> Server:
    """Bind the addresses for the methods of `table`.

    Raises:
        RuntimeError: An address can't be bound.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="grpc")
    grpc_server = grpc.server(pool, options=_OPTIONS)
    for service, entries in table.items():
        handlers = {name: _handler(f"{service}/{name}", m) for name, m in entries.items()}
        grpc_server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )
    checker = None
    if with_health:
        checker = health.HealthServicer(experimental_non_blocking=True)
        health_pb2_grpc.add_HealthServicer_to_server(checker, grpc_server)
        for name in HEALTH_NAMES:
            checker.set(name, health_pb2.HealthCheckResponse.SERVING)
    ports = [grpc_server.add_insecure_port(address) for address in addresses]
    return Server(grpc_server, ports[0], checker)


def _handler(name: str, method: Method) -> Any:
    def call(request: Any, context: Any) -> Any:
        error = None
        try:
            # The call may have waited for a thread; TensorFlow Serving runs none that is late.
            seconds = context.time_remaining()
            if seconds is not None and seconds <= 0:
                raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            return method.answer(request, seconds)
        except ServingError as raised:
            error = raised
        except Exception:
            log.exception("%s failed in an unexpected way", name)
            error = ServingError(grpc.StatusCode.INTERNAL, "internal error, see the server's log")
        return context.abort(error.code, cut(error.text))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=method.request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
