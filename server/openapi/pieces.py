"""What several routes share: parameters, headers, bodies of images, ways to show a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contract.manifest import MODEL_NAME
from server.openapi.schemas import ref

_MOST_VERSION = 2**63 - 1
_BINARY = {"type": "string", "format": "binary"}

#: Of images that come as they are, or in a form, or in JSON.
IMAGE_FIELDS: dict[str, dict[str, Any]] = {
    "top_k": {"type": "integer", "minimum": 1, "default": 5},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "probabilities": {"type": "boolean", "default": False},
    "overlay": {"type": "boolean", "default": False},
}
_FIELD_TEXTS = {
    "top_k": "How many labels to rank.",
    "threshold": "The ranked list holds only labels of at least this probability.",
    "probabilities": "Whether each answer has the whole vector, and the answer all labels.",
    "overlay": "Whether each answer has its overlay, a PNG in base64.",
}

HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The request's id: the caller's, or a new one; it is in the log line too.",
        "schema": {"type": "string"},
    },
    "Server-Timing": {
        "description": "Where the time went, in milliseconds: `read;dur=0.1, decode;dur=9.2, …`.",
        "schema": {"type": "string"},
    },
    "X-Model-Version": {
        "description": "The version that answered.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "X-Model-Track": {
        "description": "`stable` or `canary`, where the model has a canary.",
        "schema": {"enum": ["stable", "canary"]},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "How to show a key.",
        "schema": {"type": "string", "pattern": "^Bearer"},
    },
    "Allow": {"description": "The methods that are.", "schema": {"type": "string"}},
    "ETag": {"description": "Changes with the file.", "schema": {"type": "string"}},
    "Inference-Header-Content-Length": {
        "description": "How many bytes of the answer are JSON; binary tensors follow.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
#: A gateway may or may not ask for a key.
SECURITY: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"key": []}]

#: Of every request to a model.
CALL_PARAMETERS = ("RequestId", "CanaryKey", "RequestTimeout", "TraceParent", "TraceState")


def parameters(models: Sequence[str]) -> dict[str, Any]:
    """Returns the parameters that routes refer to.

    Args:
        models: names that are served, as examples.
    """
    pattern = f"^{MODEL_NAME.pattern}$"
    made = {
        "name": _path("name", "The model.", {"type": "string", "pattern": pattern}, models),
        "number": _path(
            "number",
            "A version of the model.",
            {"type": "integer", "minimum": 0, "maximum": _MOST_VERSION},
            [1],
        ),
        "label": _path(
            "label",
            "A label of one of the model's versions, as the model server knows it.",
            {"type": "string", "pattern": "^[^/:]+$"},
            ["stable"],
        ),
        "file": _path("file", "A file that the pages load.", {"type": "string"}, ["page.js"]),
        "RequestId": _header("X-Request-Id", "An id for the request; else one is made.", 128),
        "RequestTimeout": {
            "name": "X-Request-Timeout",
            "in": "header",
            "description": "Seconds that the caller will wait, at most LINCE_TIMEOUT_SECONDS.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        },
        "CanaryKey": _header(
            "X-Canary-Key", "Requests with one key stay on one track of a canary.", 256
        ),
        "TraceParent": _header("traceparent", "W3C trace context; passed on.", 512),
        "TraceState": _header("tracestate", "W3C trace context; passed on.", 512),
    }
    return made | {name: _query(name) for name in IMAGE_FIELDS}


def _path(
    name: str, text: str, schema: dict[str, Any], examples: Sequence[object]
) -> dict[str, Any]:
    if examples:
        schema = {**schema, "examples": list(examples)}
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _header(name: str, text: str, most: int) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": most}
    return {"name": name, "in": "header", "description": text, "schema": schema}


def _query(name: str) -> dict[str, Any]:
    text = _FIELD_TEXTS[name]
    return {"name": name, "in": "query", "description": text, "schema": IMAGE_FIELDS[name]}


def parameter_refs(*names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def images_body(kind: type, *fields: str) -> dict[str, Any]:
    """Returns a body of images in each form; `fields` are its parameters, `kind` its JSON."""
    form = {"image": {"type": "array", "items": _BINARY, "minItems": 1}}
    form |= {name: IMAGE_FIELDS[name] for name in fields}
    return {
        "required": True,
        "description": (
            "One image as it is, or one or more as parts named `image`, or JSON with base64."
            " The bytes decide what an image is, not its type."
        ),
        "content": {
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": form, "required": ["image"]}
            },
            "application/json": {"schema": ref(kind)},
        },
    }


def json_body(kind: type, **more: dict[str, Any]) -> dict[str, Any]:
    """Returns a body of JSON, with other media types' contents."""
    return {"required": True, "content": {"application/json": {"schema": ref(kind)}} | more}
