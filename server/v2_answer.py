"""Answers of the Open Inference Protocol (V2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from flask import Response
from numpy.typing import NDArray

from server.answers import json_response
from server.classify import Classified
from server.served import ServedVersion
from server.v2_request import ENCODED, LABEL, LENGTH_HEADER, PIXELS, PROBABILITIES, Inference

_PLATFORM = "tensorflow_savedmodel"


def inferred(classified: Classified, asked: Inference) -> Response:
    """Returns the answer to a request whose images all have probabilities."""
    version = classified.version
    rows = np.stack([row for row in classified.results if isinstance(row, np.ndarray)])
    outputs, binaries = [], []
    for name, binary in asked.outputs:
        output, content = _probabilities(rows) if name == PROBABILITIES else _label(version, rows)
        if binary:
            del output["data"]
            output["parameters"] = {"binary_data_size": len(content)}
            binaries.append(content)
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": version.model, "model_version": str(version.number)}
    if asked.id is not None:
        answer["id"] = asked.id
    if classified.found.track is not None:
        answer["parameters"] = {"track": classified.found.track}
    answer["outputs"] = outputs
    return _with_binaries(answer, binaries) if binaries else json_response(answer)


def metadata(version: ServedVersion, numbers: Sequence[int]) -> dict[str, Any]:
    """Returns a model's metadata.

    Args:
        numbers: of the versions that are available.
    """
    ports = version.classifier
    spec = ports.pixels
    pixels = [-1, spec.height or -1, spec.width or -1, spec.channels]
    classes = len(version.labels) if version.labels else -1
    return {
        "name": version.model,
        "versions": [str(number) for number in sorted(numbers)],
        "platform": _PLATFORM,
        "inputs": [
            {
                "name": ports.input,
                "datatype": PIXELS,
                "shape": pixels,
                # The protocol has one datatype for an input; this one takes another, too.
                "parameters": {"also_datatype": ENCODED, "also_shape": "[-1]: image files"},
            }
        ],
        "outputs": [
            {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, classes]},
            {"name": LABEL, "datatype": ENCODED, "shape": [-1]},
        ],
    }


def _probabilities(rows: NDArray[np.float32]) -> tuple[dict[str, Any], bytes]:
    output = {
        "name": PROBABILITIES,
        "datatype": "FP32",
        "shape": list(rows.shape),
        "data": rows.ravel().tolist(),
    }
    return output, rows.astype("<f4", copy=False).tobytes()


def _label(version: ServedVersion, rows: NDArray[np.float32]) -> tuple[dict[str, Any], bytes]:
    names = version.names(rows.shape[1])
    labels = [names[first] for first in rows.argmax(axis=1)]
    texts = [label.encode() for label in labels]
    content = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    output = {"name": LABEL, "datatype": ENCODED, "shape": [len(labels)], "data": labels}
    return output, content


def _with_binaries(answer: dict[str, Any], binaries: Sequence[bytes]) -> Response:
    json = msgspec.json.encode(answer)
    response = Response(b"".join([json, *binaries]), content_type="application/octet-stream")
    response.headers[LENGTH_HEADER] = str(len(json))
    return response
