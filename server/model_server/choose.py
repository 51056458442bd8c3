"""From a request's model_spec to the version that answers it."""

from contextlib import AbstractContextManager
from typing import Any

from server.model_server.errors import invalid_argument
from server.model_server.manager import Manager
from server.model_server.servable import Servable


def chosen(manager: Manager, request: Any) -> AbstractContextManager[Servable]:
    """The version that a request asks for, held as long as the context lasts.

    Raises:
        ServingError: INVALID_ARGUMENT: no model, no name, or an unknown label; on entering the
            context NOT_FOUND: no such version is available.
    """
    return served(manager, model_spec(request))


def served(manager: Manager, spec: Any) -> AbstractContextManager[Servable]:
    """The version that a ModelSpec names; see `chosen`."""
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    if spec.version_label:
        return manager.borrow(spec.name, manager.labelled(spec.name, spec.version_label))
    return manager.borrow(spec.name, spec.version.value if spec.HasField("version") else None)


def model_spec(request: Any) -> Any:
    """The request's model_spec.

    Raises:
        ServingError: INVALID_ARGUMENT if there is none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec
