"""Which models are served, as it changes: the configuration at the start, by call and by file."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

import grpc
from tensorflow_serving.apis import model_management_pb2

from server.model_server import config
from server.model_server.config import ModelConfig
from server.model_server.errors import ServingError, invalid_argument
from server.model_server.journal import Journal
from server.model_server.manager import Manager, Version
from server.model_server.monitoring import Metrics
from server.model_server.repeated import Complaints, Repeated
from server.model_server.source import Poller

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
"""How often a wait for models looks whether it should end."""


class LabelRule(Enum):
    """Which labels may stand for a version that isn't available."""

    NONE = "none"
    NEW = "those that stood for no other version before"
    ALL = "all"


class Configuration:
    """The models to serve; one change at a time.

    Args:
        manager: Holds the versions.
        poller: Looks for versions on the disk.
        label_rule: For labels of versions that aren't available.
        journal: Where to note what is to be served.
    """

    def __init__(
        self,
        manager: Manager,
        poller: Poller,
        label_rule: LabelRule = LabelRule.NONE,
        journal: Journal | None = None,
    ) -> None:
        self._journal = journal or Journal()
        self._manager = manager
        self._poller = poller
        self._label_rule = label_rule
        self._models: tuple[ModelConfig, ...] = ()
        self._changing = threading.Lock()
        self._closing = threading.Event()

    def close(self) -> None:
        """Give up what still waits for models."""
        self._closing.set()

    def apply(
        self,
        wanted: Any,
        is_over: Callable[[], bool] = lambda: False,
        noun: str = "model(s)",
    ) -> bool:
        """Serve these models instead of those before; what is removed unloads in the background.

        Args:
            wanted: All models, as a ModelServerConfig.
            is_over: Asked now and then while models load: whether nobody waits any more.
            noun: What the text of an error calls models.

        Returns:
            Whether each model whose name is new is available; False if the wait was over before.

        Raises:
            ServingError: INVALID_ARGUMENT: the list is no good, and nothing has changed. UNKNOWN:
                a new model has failed to load. FAILED_PRECONDITION: a label stands for a version
                that isn't available. In these two cases the models are the new ones and the labels
                those before.
        """
        models = config.from_proto(wanted)
        while not self._changing.acquire(timeout=_LOOK_SECONDS):
            if is_over():
                return False
        try:
            config.check_change(self._models, models)
            old = {model.name for model in self._models}
            # With their labels: a start with two versions and a label on each must not be a race.
            new = {m.name: set(m.labels.values()) for m in models if m.name not in old}
            self._models = tuple(models)
            self._journal.note_config(wanted.SerializeToString())
            self._poller.watch(models)
            if not self._wait(new, is_over, noun):
                return False
            self._manager.assign_labels({m.name: m.labels for m in models}, self._may_be_away)
            return True
        finally:
            self._changing.release()

    def _wait(
        self, models: Mapping[str, Collection[int]], is_over: Callable[[], bool], noun: str
    ) -> bool:
        while (failed := self._manager.first_loads(models, _LOOK_SECONDS)) is None:
            if self._closing.is_set() or is_over():
                return False
        if failed:
            raise _not_available(failed, noun)
        return True

    def _may_be_away(self, name: str, label: str) -> bool:
        if self._label_rule is LabelRule.NEW:
            wanted = {m.name: m.labels for m in self._models}[name][label]
            return self._manager.labels().get(name, {}).get(label, wanted) == wanted
        return self._label_rule is LabelRule.ALL


def _not_available(failed: Mapping[str, Version], noun: str) -> ServingError:
    parts = "".join(
        f"{{name: {name} version: {version.number}}} due to error: {version.error}}}, "
        for name, version in sorted(failed.items())
    )
    text = f"{len(failed)} {noun} did not become available: {{{parts}}}"
    return ServingError(grpc.StatusCode.UNKNOWN, text)


def handle(
    configuration: Configuration, metrics: Metrics, request: Any, seconds: float | None
) -> Any:
    """Answer a ReloadConfigRequest, once its new models are available.

    Args:
        configuration: What to change.
        metrics: Of the server; the caller may ask by how much some have grown meanwhile.
        request: The ReloadConfigRequest.
        seconds: What is left to the caller; None for ever.

    Raises:
        ServingError: As `Configuration.apply`; DEADLINE_EXCEEDED if models take longer than the
            caller waits.
    """
    if request.config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported"
        )
    end = None if seconds is None else time.monotonic() + seconds
    before = {name: metrics.total(name) for name in request.metric_names}
    if not configuration.apply(request.config, lambda: end is not None and time.monotonic() > end):
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    response = model_management_pb2.ReloadConfigResponse()
    response.status.error_code = 0
    for name in request.metric_names:
        increase = metrics.total(name) - before[name]
        response.metric.add(name=name, int64_value_increase=increase)
    return response


class FileWatcher:
    """Reads the configuration file now and then, in a thread, and applies it.

    A file that is no good, or models that fail, are logged, and the server goes on.

    Args:
        path: The file, a ModelServerConfig in text form.
        wait_seconds: Between two looks; 0 or less never looks.
        configuration: What to change.
    """

    def __init__(self, path: str, wait_seconds: float, configuration: Configuration) -> None:
        self._path = path
        self._configuration = configuration
        self._complaints = Complaints(log, logging.ERROR)
        self._repeated = Repeated("poll-config-file", wait_seconds if path else 0, self.look_once)
        self.start, self.stop = self._repeated.start, self._repeated.stop

    def look_once(self) -> None:
        """Read the file and apply it; a complaint is logged once."""
        complaint = ""
        try:
            self._configuration.apply(config.read_file(self._path), self._repeated.is_stopping)
        except ServingError as error:
            complaint = f"reload of {self._path} failed: {error}"
        self._complaints.say(complaint)
