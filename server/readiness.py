"""Is this process ready for requests?"""

from __future__ import annotations

from server.deadline import Deadline
from server.problems import UNAVAILABLE, Problem
from server.services import Services

# What probes wait for at most; a model server that takes longer is none to send requests to.
_SECONDS = 2.0


def check(services: Services, deadline: Deadline) -> None:
    """Asks for every configured model.

    Raises:
        Problem: the gateway is about to stop, or a model has no version available.
    """
    if services.stopping():
        raise Problem(UNAVAILABLE, "the gateway is about to stop")
    if not services.catalog.names:
        raise Problem(UNAVAILABLE, "no model is configured: set LINCE_MODELS")
    soon = min(deadline, Deadline.after(_SECONDS))
    for name in services.catalog.names:
        try:
            services.catalog.refresh(name, soon)
        except Problem as problem:
            raise Problem(UNAVAILABLE, f"model {name}: {problem.detail}") from problem
