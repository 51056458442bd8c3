"""How models stand in paths: `/v1/models/{name}[/versions/{number}|/labels/{label}]:{verb}`.

`/v1/{verb}` is the default model's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, current_app
from werkzeug.routing import BaseConverter

from server.problems import UNKNOWN_MODEL, Problem

#: Of the application's configuration: the model that `/v1/{verb}` means, or None.
DEFAULT_MODEL = "DEFAULT_MODEL"

_MOST = 2**63 - 1  # of a version number: it is an int64 on the wire

#: How a version's number stands in a path.
NUMBER = f"<int(max={_MOST}):number>"


class ModelName(BaseConverter):
    """A model's name in a path, `<model:name>`: what comes after a colon is the verb."""

    regex = "[^/:]+"


def on_models(app: Flask, verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function the answer to a verb.

    It gets `name`, and `number` or `label` if the path has one.
    """

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def on_default() -> Any:
            return view(name=_default_model())

        app.add_url_rule(f"/v1/{verb}", f"{verb}_default", on_default, methods=["POST"])
        for choice in ("", f"/versions/{NUMBER}", "/labels/<model:label>"):
            path = f"/v1/models/<model:name>{choice}:{verb}"
            app.add_url_rule(path, verb, view, methods=["POST"])
        return view

    return register


def _default_model() -> str:
    name: str | None = current_app.config[DEFAULT_MODEL]
    if name is None:
        raise Problem(UNKNOWN_MODEL, "there is no default model: name one in the path")
    return name
