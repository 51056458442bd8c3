"""How models stand in paths: `/v1/models/{name}[/versions/{number}]:{verb}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter

_MOST = 2**63 - 1  # of a version number: it is an int64 on the wire


class ModelName(BaseConverter):
    """A model's name in a path, `<model:name>`: what comes after a colon is the verb."""

    regex = "[^/:]+"


def on_models(app: Flask, verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function the answer to a verb; it gets `name`, and `number` if one is given."""

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        for choice in ("", f"/versions/<int(max={_MOST}):number>"):
            path = f"/v1/models/<model:name>{choice}:{verb}"
            app.add_url_rule(path, verb, view, methods=["POST"])
        return view

    return register
