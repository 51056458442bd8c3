"""A request is answered by one version of a model, also while another takes its place."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from server import metrics
from server.catalog import MOST_MISSES, Catalog, Choice, Found, unknown_version
from server.deadline import Deadline
from server.greenlets import sleep
from server.problems import VersionGoneError

_PAUSE_SECONDS = 0.005

Answer = TypeVar("Answer")


def by_one_version(
    catalog: Catalog,
    choice: Choice,
    found: Found,
    deadline: Deadline,
    call: Callable[[Found], Answer],
) -> Answer:
    """Returns what `call` answers for the version that is meant.

    Args:
        found: what the catalog has for the choice.
        call: makes pixels for a version and asks it; again for the one that took its place, where
            it raises VersionGoneError.

    Raises:
        Problem: the version is gone and nothing took its place in time.
    """
    for missed in itertools.count(1):
        try:
            return call(found)
        except VersionGoneError as error:
            if choice.number is not None and missed == MOST_MISSES:
                raise unknown_version(choice.model, choice.number) from error
        metrics.backend_retried(choice.model, "version-gone")
        # Replicas may disagree on what is newest, and calls go to each in turn: a version just
        # heard of gets two calls before another is asked for.
        if missed % 2 and choice.number is None:
            found = catalog.find(choice, deadline, fresh=True)
        else:
            sleep(min(_PAUSE_SECONDS, deadline.left()))
    raise AssertionError("not reached")
