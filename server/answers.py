"""The JSON of the gateway's answers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from flask import Response
from numpy.typing import NDArray

from contract.wire import serving_pb2 as pb
from server.catalog import ServedVersion
from server.classify import Classified
from server.problems import RETRY_AFTER_SECONDS, Problem


def json_response(content: Any, status: int = 200) -> Response:
    """Returns a response with JSON, UTF-8."""
    return Response(msgspec.json.encode(content), status, content_type="application/json")


def problem_response(problem: Problem) -> Response:
    """Returns a response with problem details (RFC 9457)."""
    response = Response(
        msgspec.json.encode(problem.document()),
        problem.kind.status,
        content_type="application/problem+json",
    )
    if problem.kind.status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def classification(classified: Classified, top_k: int) -> dict[str, Any]:
    """Returns the members of a `:classify` answer: model, version and a result per image."""
    version = classified.version
    return {
        "model": version.model,
        "version": str(version.number),
        "results": [
            {"problem": result.document()}
            if isinstance(result, Problem)
            else _ranked(result, version.manifest.labels, top_k)
            for result in classified.results
        ],
    }


def _ranked(
    probabilities: NDArray[np.float32], labels: tuple[str, ...], top_k: int
) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    # float() of a float32 keeps its exact value, so nothing of the model's answer is lost.
    ranked = [{"label": labels[n], "probability": float(probabilities[n])} for n in order]
    return {**ranked[0], "top_k": ranked}


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
