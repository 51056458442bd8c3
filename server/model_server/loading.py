"""How a version is loaded: by the flags, with its batching and its warm-up."""

import time
from typing import Any

from server.model_server import batch_parameters
from server.model_server.flags import Options
from server.model_server.manager import Loader
from server.model_server.memory import Guard
from server.model_server.monitoring import Metrics
from server.model_server.servable import Servable, SessionSettings, load
from server.model_server.warmup import warm_up


def make_loader(options: Options, metrics: Metrics | None = None) -> Loader:
    """What loads a version and warms it up, as the flags say.

    Raises:
        ServingError: A file that a flag names is no good.
    """
    settings = SessionSettings.from_options(options)
    common = batch_parameters.from_options(options)
    guard = Guard(options.memory_limit_megabytes * 2**20)
    counted = metrics or Metrics()

    def made(version: int, path: str) -> Servable:
        batching = common
        if options.enable_per_model_batching_parameters:
            batching = batch_parameters.of_version(path, common)
        return load(version, path, settings, batching, counted.queued, guard)

    def loader(name: str, version: int, path: str) -> Any:
        began = time.monotonic()
        try:
            servable = made(version, path)
        except BaseException:
            counted.load(name, path, time.monotonic() - began, False)
            raise
        counted.load(name, path, time.monotonic() - began, True)
        try:
            began = time.monotonic()
            if options.enable_model_warmup and warm_up(
                servable, options.num_request_iterations_for_warmup
            ):
                counted.warmup(path, time.monotonic() - began)
        except BaseException:
            servable.close()
            raise
        return servable

    return loader
