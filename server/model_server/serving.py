"""The server put together: from options to a program that serves until it is told to stop."""

import faulthandler
import gc
import logging
import sys
from dataclasses import replace

from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from server.model_server import config, signals
from server.model_server.errors import ServingError
from server.model_server.flags import Options
from server.model_server.frontends import Frontends
from server.model_server.journal import Journal
from server.model_server.loading import make_loader
from server.model_server.manager import Manager, Retries
from server.model_server.memory import keep_freed_memory
from server.model_server.monitoring import Metrics
from server.model_server.reload import Configuration, FileWatcher, LabelRule
from server.model_server.source import Poller
from server.model_server.supervise import Quarantine

log = logging.getLogger(__name__)


def serve(options: Options, journal: Journal, quarantine: Quarantine) -> int:
    """Load the models, then open the ports, then answer until told to stop.

    Args:
        options: From the flags.
        journal: Where to note what is in hand, and where a server that died before this one has
            left its ports and its models.
        quarantine: Versions that are not to be loaded.

    Raises:
        ServingError: The server can't start.
    """
    arrived = signals.catch()
    keep_freed_memory()
    faulthandler.enable(all_threads=False)
    _log_to_stderr()
    metrics = Metrics()
    before = journal.config()
    models = ModelServerConfig.FromString(before) if before else config.from_options(options)
    frontends = Frontends(_with_known_ports(options, journal), metrics)
    retries = Retries(options.max_num_load_retries, options.load_retry_interval_micros / 1e6)
    manager = Manager(make_loader(options, metrics), retries, journal, quarantine)
    poller = Poller(options.file_system_poll_wait_seconds, manager.aspire, quarantine)
    configuration = Configuration(manager, poller, label_rule(options), journal)
    watcher = FileWatcher(
        options.model_config_file, options.model_config_file_poll_wait_seconds, configuration
    )
    # What is loaded so far stays; without it, each collection would visit all of TensorFlow.
    gc.collect()
    gc.freeze()
    poller.start()
    try:
        try:
            if not configuration.apply(models, lambda: not arrived.empty(), "servable(s)"):
                return 0
        except ServingError as error:
            if not before:
                raise
            # It has served once. What is good still is, and the rest shows in its status.
            log.error("after the restart: %s", error)
        frontends.open(manager, configuration)
        journal.note_ports(*frontends.ports())
        watcher.start()
        log.info("%s: finishing the calls in flight", arrived.get())
        configuration.close()
        watcher.stop()
        frontends.close(manager)
    finally:
        poller.stop()
        manager.close()
    return 0


def _with_known_ports(options: Options, journal: Journal) -> Options:
    grpc, rest = journal.ports()
    if not grpc:
        return options
    return replace(options, port=grpc, rest_api_port=rest)


def label_rule(options: Options) -> LabelRule:
    """Which labels may stand for versions that aren't available."""
    if options.force_allow_any_version_labels_for_unavailable_models:
        return LabelRule.ALL
    return LabelRule.NEW if options.allow_version_labels_for_unavailable_models else LabelRule.NONE


def _log_to_stderr() -> None:
    """Show our own log, one line each, however the rest of the process logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("server.model_server")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
