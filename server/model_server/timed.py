"""A version whose runs are timed, for `runtime_latency`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.model_server.monitoring import Metrics
from server.model_server.servable import Servable


@dataclass(frozen=True)
class _Timed:
    servable: Servable
    metrics: Metrics
    model: str
    api: str

    @property
    def version(self) -> int:
        return self.servable.version

    @property
    def signatures(self) -> Mapping[str, Any]:
        return self.servable.signatures

    @property
    def checks_methods(self) -> bool:
        return self.servable.checks_methods

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None = None,
    ) -> list[Any]:
        began = time.monotonic()
        values = self.servable.run(feeds, fetches, timeout_seconds)
        self.metrics.runtime(self.model, self.api, time.monotonic() - began)
        return values


def timed(servable: Servable, metrics: Metrics, request: Any, api: str) -> Any:
    """The version, to be used as it is, for a request of the API `Predict`, `Classify` or
    `Regress`: each run that succeeds is counted.
    """
    return _Timed(servable, metrics, request.model_spec.name, api)
