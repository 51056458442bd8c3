"""The JSON of the gateway's answers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from flask import Response, request

from contract.wire import serving_pb2 as pb
from server.classify import Classified, Row
from server.parameters import Options
from server.problems import CONTENT_TYPE, RETRY_AFTER_SECONDS, Problem
from server.served import ServedVersion
from server.wsgi_call import Answer


def json_response(content: Any, status: int = 200) -> Response:
    """Returns a response with JSON, UTF-8."""
    return Response(msgspec.json.encode(content), status, content_type="application/json")


def problem_response(problem: Problem) -> Response:
    """Returns a response with a problem, in the form of the route that was called."""
    answer = problem_answer(problem, request.path)
    return Response(answer.body, answer.status, answer.headers)


def problem_answer(problem: Problem, path: str) -> Answer:
    """Returns the same without Flask, for what fails before it.

    Problem details (RFC 9457); the Open Inference Protocol has a form of its own, and what
    TensorFlow Serving's clients look for is beside them in answers of `:predict`.
    """
    document, content_type = problem.document(), CONTENT_TYPE
    if path == "/v2" or path.startswith("/v2/"):
        document, content_type = {"error": problem.detail}, "application/json"
    elif path.endswith((":predict", "/v1/predict")):
        document["error"] = problem.detail
    headers = [("content-type", content_type), *problem.headers]
    if problem.kind.status in (429, 503) and "retry-after" not in dict(headers):
        headers.append(("retry-after", str(RETRY_AFTER_SECONDS)))
    return Answer(problem.kind.status, headers, msgspec.json.encode(document))


def classification(classified: Classified, options: Options, request_id: str) -> dict[str, Any]:
    """Returns the members of a `:classify` answer: model, version and a result per image."""
    version = classified.version
    answer: dict[str, Any] = {
        "model": version.model,
        "version": str(version.number),
        "request_id": request_id,
    }
    if classified.found.track is not None:
        answer["track"] = classified.found.track
    answer["results"] = [
        {"problem": result.document()}
        if isinstance(result, Problem)
        else _ranked(result, version.names(len(result)), options)
        for result in classified.results
    ]
    if options.probabilities:
        sound = (row for row in classified.results if not isinstance(row, Problem))
        answer["labels"] = version.names(len(next(sound, ())))
    return answer


def _ranked(row: Row, labels: tuple[str, ...], options: Options) -> dict[str, Any]:
    order = np.argsort(-row, kind="stable")[: options.top_k]
    # float() of a float32 keeps its exact value, so nothing of the model's answer is lost.
    ranked = [{"label": labels[n], "probability": float(row[n])} for n in order]
    above = [entry for entry in ranked if entry["probability"] >= options.threshold]
    result = {**ranked[0], "top_k": above}
    if options.probabilities:
        result["probabilities"] = row.tolist()
    return result


def model_card(
    name: str, version: ServedVersion | None, status: list[pb.ModelVersionStatus]
) -> dict[str, Any]:
    """Returns what is served under a name: a superset of TensorFlow Serving's and KServe's."""
    return {
        "name": name,
        "ready": version is not None,
        "version": None if version is None else str(version.number),
        "model_version_status": [
            {
                "version": str(entry.version),
                "state": pb.ModelVersionStatus.State.Name(entry.state),
                "status": {
                    "error_code": "OK" if not entry.status.error_code else "UNKNOWN",
                    "error_message": "" if not entry.status.error_code else "failed to load",
                },
            }
            for entry in status
        ],
        "manifest": None if version is None else version.manifest,
    }
