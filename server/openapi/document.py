"""The document as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.openapi import operations, pieces, responses, schemas

#: Of the API, not of Lince: a change that breaks callers makes another.
_VERSION = "1"
_ABOUT = (
    "A gateway to image classifiers: it takes pictures and answers with class probabilities.\n\n"
    "Errors are RFC 9457 problem details. A 429 and a 503 have Retry-After: the same request may"
    " succeed after that many seconds.\n\n"
    "Where the gateway asks for API keys, send `Authorization: Bearer KEY` or `X-API-Key: KEY`."
)


def make_document(models: Sequence[str]) -> dict[str, Any]:
    """Returns the OpenAPI document.

    Args:
        models: names that are served, for the examples.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lince",
            "version": _VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": description}
            for name, description in operations.TAGS.items()
        ],
        "security": pieces.SECURITY,
        "paths": operations.paths(next(iter(models), "MODEL")),
        "components": {
            "schemas": schemas.components(),
            "responses": responses.components(),
            "parameters": pieces.parameters(models),
            "headers": pieces.HEADERS,
            "securitySchemes": pieces.SECURITY_SCHEMES,
        },
    }
