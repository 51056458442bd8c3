"""Which models are served, and what each is."""

from __future__ import annotations

from flask import Flask, Response, g

from server.answers import json_response, model_card
from server.problems import UNKNOWN_MODEL, Problem, VersionGoneError
from server.served import ServedVersion
from server.services import Services


def add(app: Flask, services: Services) -> None:
    catalog = services.catalog

    def newest(name: str) -> ServedVersion | None:
        try:
            return catalog.newest(name, g.deadline)
        except Problem as problem:
            if problem.kind is UNKNOWN_MODEL:
                raise
            return None

    @app.get("/v1/models")
    def models() -> Response:
        cards = [model_card(name, newest(name), []) for name in catalog.names]
        keys = ("name", "ready", "version")
        return json_response({"models": [{key: card[key] for key in keys} for card in cards]})

    @app.get("/v1/models/<model:name>")
    def model(name: str) -> Response:
        version = newest(name)
        try:
            status = services.backend.status(name, g.deadline)
        except (Problem, VersionGoneError):
            version, status = None, []
        return json_response(model_card(name, version, status))
