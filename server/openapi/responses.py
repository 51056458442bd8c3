"""The answers of each kind of route: what is given, and the problems by their status."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from server.openapi.schemas import ProblemDetails, ProtocolError, ref
from server.problems import KINDS

#: Problems that every route may answer with: the caller's key, its headers, too many calls.
EVERYWHERE = (400, 401, 404, 422, 429, 500, 503, 504)
#: Beside those, of a route that takes a body and asks the model server.
OF_POSTS = (408, 413, 415, 502)

_HEADERS = {
    401: ["WWW-Authenticate"],
    405: ["Allow"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def header_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def given(description: str, *headers: str, **contents: dict[str, Any]) -> dict[str, Any]:
    """Returns a success; `contents` are schemas by their media types' keys in `_TYPES`."""
    answer: dict[str, Any] = {
        "description": description,
        "headers": {name: header_ref(name) for name in ("X-Request-Id", *headers)},
    }
    if contents:
        answer["content"] = {_TYPES[key]: {"schema": schema} for key, schema in contents.items()}
    return answer


_TYPES = {
    "json": "application/json",
    "png": "image/png",
    "text": "text/plain",
    "html": "text/html",
    "css": "text/css",
    "javascript": "text/javascript",
    "svg": "image/svg+xml",
    "binary": "application/octet-stream",
}


def problems(*statuses: int, form: str = "") -> dict[str, Any]:
    """Returns references to the problems of some statuses.

    Args:
        form: "v2" is that of the Open Inference Protocol.
    """
    return {
        str(status): {"$ref": f"#/components/responses/{form}{status}"}
        for status in sorted(statuses)
    }


def components() -> dict[str, Any]:
    """Returns a response for each status that a problem can have."""
    kinds = defaultdict(list)
    for kind in KINDS:
        kinds[kind.status].append(kind)
    made = {}
    for status in sorted(kinds):
        titles = {kind.type: kind.title for kind in kinds[status]}
        made[str(status)] = _problem(status, titles)
        made[f"v2{status}"] = _protocol_error(status, titles)
    return made


def _problem(status: int, titles: dict[str, str]) -> dict[str, Any]:
    members = {"type": {"enum": list(titles)}, "status": {"const": status}}
    schema = {"allOf": [ref(ProblemDetails), {"type": "object", "properties": members}]}
    return _response(status, titles, "application/problem+json", schema)


def _protocol_error(status: int, titles: dict[str, str]) -> dict[str, Any]:
    return _response(status, titles, "application/json", ref(ProtocolError))


def _response(
    status: int, titles: dict[str, str], media_type: str, schema: dict[str, Any]
) -> dict[str, Any]:
    names = ("X-Request-Id", *_HEADERS.get(status, ()))
    return {
        "description": "; ".join(titles.values()),
        "headers": {name: header_ref(name) for name in names},
        "content": {media_type: {"schema": schema}},
    }
