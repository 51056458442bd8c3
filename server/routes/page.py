"""The page at `/`, the API page at `/docs`, and the files that both load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, request

from server.problems import NOT_FOUND, Problem
from server.services import Services

_FOLDER = Path(__file__).parent.parent / "page"
# Of these alone: what the system says of a suffix differs from one to the next.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent: its content, its media type, and a tag that changes with it."""

    content: bytes
    content_type: str
    tag: str

    @classmethod
    def of(cls, content: bytes, content_type: str) -> StaticFile:
        return cls(content, content_type, hashlib.sha256(content).hexdigest()[:32])

    def response(self) -> Response:
        """Returns the file, or 304 where the caller has it; a browser asks each time."""
        response = Response(self.content, content_type=self.content_type)
        response.set_etag(self.tag)
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response


def add(app: Flask, services: Services) -> None:  # noqa: ARG001 - as all routes
    files = _read()

    @app.get("/")
    def page() -> Response:
        return files["index.html"].response()

    @app.get("/docs")
    def docs() -> Response:
        return files["docs.html"].response()

    @app.get("/page/<file>")
    def page_file(file: str) -> Response:
        if file not in files or file.endswith(".html"):
            raise Problem(NOT_FOUND, "the page has no such file")
        return files[file].response()


def _read() -> dict[str, StaticFile]:
    """Reads the page's files once: a worker never looks for a path that a caller named."""
    return {
        path.name: StaticFile.of(path.read_bytes(), _TYPES[path.suffix])
        for path in _FOLDER.iterdir()
        if path.suffix in _TYPES
    }
