"""The REST API without its sockets: from method, path and body to status and body."""

import json
import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from server.model_server import classify, metadata, predict, regress, rest_examples, status
from server.model_server.choose import chosen
from server.model_server.errors import ServingError, cut, invalid_argument
from server.model_server.manager import Manager
from server.model_server.monitoring import CONTENT_TYPE, Metrics
from server.model_server.rest_json import parse, read_inputs, signature_name, write_outputs
from server.model_server.tensors import decode
from server.model_server.timed import timed

log = logging.getLogger(__name__)

HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""The rest are 500."""

_WHICH = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_WHICH}:(?P<action>classify|regress|predict)", re.IGNORECASE
)
_GET = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?:/(?P<action>metadata))?", re.IGNORECASE
)

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Reply:
    """An answer: the HTTP status and the body, which is JSON but for the metrics."""

    status: int
    body: bytes
    content_type: str = "application/json"


def refused(status_code: int, text: str) -> Reply:
    """An answer that says what went wrong, in the form that every error has."""
    return Reply(status_code, json.dumps({"error": cut(text)}).encode())


class Rest:
    """Answers requests, from any number of threads.

    Args:
        manager: Holds the models.
        threads: How many requests are worked on at the same time; more wait for their turn.
        timeout_seconds: After which a request is given up, waiting included; None never.
        cors: Whether web pages of other origins may ask, so that OPTIONS is answered.
        metrics: Where requests are counted.
        metrics_path: Where the metrics are shown; None nowhere.
    """

    def __init__(
        self,
        manager: Manager,
        threads: int,
        timeout_seconds: float | None,
        cors: bool = False,
        metrics: Metrics | None = None,
        metrics_path: str | None = None,
    ) -> None:
        self._manager = manager
        self._turns = threading.BoundedSemaphore(threads)
        self._timeout_seconds = timeout_seconds
        self.cors = cors
        self._metrics = metrics or Metrics()
        self._metrics_path = metrics_path

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answer a request; whatever goes wrong becomes an answer, too."""
        path = re.split("[?#]", path, maxsplit=1)[0]
        if path == self._metrics_path:
            return Reply(200, self._metrics.exposition(), CONTENT_TYPE)
        if not path.lower().startswith("/v1/"):
            return refused(404, f"Not found: {method} {path}")
        if method == "OPTIONS" and self.cors:
            return Reply(200, b"")
        began = time.monotonic()
        pattern = {"GET": _GET, "POST": _POST}.get(method)
        found = pattern.fullmatch(path) if pattern else None
        error = None
        try:
            if found is None:
                raise invalid_argument(f"Malformed request: {method} {path}")
            reply = Reply(200, self._answer(method, found, body))
        except ServingError as raised:
            error = raised
        except Exception:
            log.exception("%s %r failed in an unexpected way", method, path)
            error = ServingError(grpc.StatusCode.INTERNAL, "internal error, see the server's log")
        self._count(method, found, error, time.monotonic() - began)
        return refused(HTTP_STATUS.get(error.code, 500), error.text) if error else reply

    def _count(
        self,
        method: str,
        found: re.Match[str] | None,
        error: ServingError | None,
        seconds: float,
    ) -> None:
        """Count a request as TensorFlow Serving does: all of them, and those that don't run a
        model without an API.
        """
        model = unquote(found["name"] or "") if found else ""
        self._metrics.request(model, error.code.name if error else "OK")
        if found and error is None:
            api = found["action"].lower() if method == "POST" else ""
            self._metrics.latency(model, api, "REST", seconds)

    def _answer(self, method: str, found: re.Match[str], body: bytes) -> bytes:
        action = (found["action"] or "").lower()
        if method == "POST":
            return self._post(found, action, body)
        if not found["name"]:
            raise invalid_argument("Missing model name in request.")
        return self._metadata(found) if action else self._status(found)

    def _post(self, found: re.Match[str], action: str, body: bytes) -> bytes:
        actions = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
        answer = actions[action]
        if self._timeout_seconds is None:
            with self._turns:
                return answer(found, body, None)
        end = time.monotonic() + self._timeout_seconds
        if not self._turns.acquire(timeout=self._timeout_seconds):
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        try:
            return answer(found, body, end)
        finally:
            self._turns.release()

    def _predict(self, found: re.Match[str], body: bytes, end: float | None) -> bytes:
        request = predict_pb2.PredictRequest()
        _fill_spec(request.model_spec, found)
        document = parse(body)
        name = signature_name(document) or predict.DEFAULT_SIGNATURE
        with chosen(self._manager, request) as servable:
            if name not in servable.signatures:
                raise invalid_argument(
                    f'Serving signature name: "{name}" not found in signature def'
                )
            request.model_spec.signature_name = name
            inputs = servable.signatures[name].inputs
            if not inputs:
                shown = signature_name(document) or "DEFAULT"
                raise invalid_argument(f"Failed to get input map for signature: {shown}")
            dtypes = {alias: info.dtype for alias, info in inputs.items()}
            form, tensors = read_inputs(document, dtypes)
            for alias, tensor in tensors.items():
                request.inputs[alias].CopyFrom(tensor)
            model = timed(servable, self._metrics, request, "Predict")
            response = predict.predict(model, request, _seconds_left(end), as_content=True)
        outputs = {alias: decode(tensor) for alias, tensor in response.outputs.items()}
        return write_outputs(outputs, form)

    def _classify(self, found: re.Match[str], body: bytes, end: float | None) -> bytes:
        request = classification_pb2.ClassificationRequest()
        _fill_spec(request.model_spec, found)
        rest_examples.fill_request(request, parse(body))
        with chosen(self._manager, request) as servable:
            model = timed(servable, self._metrics, request, "Classify")
            classes = classify.classes_of(model, request, _seconds_left(end))
        self._metrics.examples(request.model_spec.name, len(classes.labels))
        return rest_examples.write_classes(classes)

    def _regress(self, found: re.Match[str], body: bytes, end: float | None) -> bytes:
        request = regression_pb2.RegressionRequest()
        _fill_spec(request.model_spec, found)
        rest_examples.fill_request(request, parse(body))
        with chosen(self._manager, request) as servable:
            model = timed(servable, self._metrics, request, "Regress")
            values = regress.values_of(model, request, _seconds_left(end))
        self._metrics.examples(request.model_spec.name, len(values))
        return rest_examples.write_values(values)

    def _status(self, found: re.Match[str]) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(request.model_spec, found)
        return _json(_as_dict(status.model_status(self._manager, request)))

    def _metadata(self, found: re.Match[str]) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        _fill_spec(request.model_spec, found)
        with chosen(self._manager, request) as servable:
            response = metadata.metadata(servable, request.model_spec.name)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[metadata.SIGNATURES].Unpack(signatures)
        return _json(
            {
                "model_spec": _as_dict(response.model_spec),
                "metadata": {metadata.SIGNATURES: _as_dict(signatures)},
            }
        )


def _fill_spec(spec: Any, found: re.Match[str]) -> None:
    spec.name = unquote(found["name"])
    if found["version"]:
        # Long digits first: Python refuses to read more than a few thousand.
        if len(found["version"]) > 100 or int(found["version"]) > _LARGEST:
            raise invalid_argument(f"Failed to convert version: {found['version']} to numeric.")
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = unquote(found["label"])


def _seconds_left(end: float | None) -> float | None:
    seconds = None if end is None else end - time.monotonic()
    if seconds is not None and seconds <= 0:
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    return seconds


def _as_dict(message: Any) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
