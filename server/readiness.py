"""Is this process ready for requests?"""

from __future__ import annotations

from server.deadline import Deadline
from server.problems import UNAVAILABLE, Problem
from server.services import Services


def check(services: Services, deadline: Deadline) -> None:
    """Asks for every configured model.

    Raises:
        Problem: the gateway is about to stop, or a model has no version available.
    """
    if services.stopping():
        raise Problem(UNAVAILABLE, "the gateway is about to stop")
    if not services.catalog.names:
        raise Problem(UNAVAILABLE, "no model is configured: set LINCE_MODELS")
    for name in services.catalog.names:
        try:
            services.catalog.refresh(name, deadline)
        except Problem as problem:
            raise Problem(UNAVAILABLE, f"model {name}: {problem.detail}") from problem
