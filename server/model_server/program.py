"""The program: from flags to a running server, and its orderly end."""

import gc
import importlib.metadata
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from contract.quiet import quiet_import
from server.model_server import config
from server.model_server.errors import ServingError, invalid_argument, unimplemented
from server.model_server.flags import BadFlagError, Options, Parsed, parse, usage

PROGRAM = "lince model-server"
FAILED = 255
"""The exit status of TensorFlow Serving for bad flags and failed starts."""

log = logging.getLogger(__name__)


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; see `server.model_server.main`."""
    try:
        parsed = parse(argv)
    except BadFlagError as error:
        return _say(f"{error}\n{usage(PROGRAM)}", FAILED)
    if list(argv[:1]) in (["--help"], ["--help=true"]):
        return _say(usage(PROGRAM), FAILED)
    if parsed.options.version:
        print(versions())
        return 0
    _mention(parsed)
    try:
        return serve(parsed.options)
    except ServingError as error:
        return _say(f"Failed to start server. Error: {error}", FAILED)


def versions() -> str:
    """The lines of --version, in TensorFlow Serving's form; read without loading TensorFlow."""
    ours, tensorflow = (_installed(name) for name in ("lince", "tensorflow"))
    return f"TensorFlow ModelServer: {ours} (lince)\nTensorFlow Library: {tensorflow}"


def serve(options: Options) -> int:
    """Load the models, then open the ports, then answer until told to stop.

    Raises:
        ServingError: The server can't start.
    """
    if options.ssl_config_file:
        # Ignoring this one would send in the clear what the user believes to be encrypted.
        raise unimplemented("--ssl_config_file is not supported by this model server")
    signals = _catch_signals()
    models = config.from_options(options)
    _log_to_stderr()
    for model in models:
        if model.labels:
            log.warning("model %s: version_labels are ignored", model.name)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with quiet_import():
        from server.model_server.manager import Manager, Retries
        from server.model_server.source import Poller

    retries = Retries(options.max_num_load_retries, options.load_retry_interval_micros / 1e6)
    manager = Manager(make_loader(options), retries)
    poller = Poller(models, options.file_system_poll_wait_seconds, manager.aspire)
    # What is loaded so far stays; without it, each collection would visit all of TensorFlow.
    gc.collect()
    gc.freeze()
    poller.start()
    try:
        if not _wait_until_loaded(manager, [m.name for m in models], signals):
            return 0
        server, rest = _bound(options, manager)
        server.start()
        _say(f"Running gRPC ModelServer at {options.listen_address}:{server.port} ...", 0)
        if rest:
            rest.start()
            _say(f"Exporting HTTP/REST API at:localhost:{rest.port} ...", 0)
        log.info("%s: finishing the calls in flight", signals.get())
        if rest:
            rest.stop_accepting()
        server.drain(manager)
        if rest:
            rest.drain()
    finally:
        poller.stop()
        manager.close()
    return 0


def make_loader(options: Options) -> Callable[[str, int, str], Any]:
    """What loads a version and warms it up, as the flags say."""
    from server.model_server.servable import SessionSettings, load
    from server.model_server.warmup import warm_up

    settings = SessionSettings.from_options(options)

    def loader(name: str, version: int, path: str) -> Any:  # noqa: ARG001
        servable = load(version, path, settings)
        try:
            if options.enable_model_warmup:
                warm_up(servable, options.num_request_iterations_for_warmup)
        except BaseException:
            servable.close()
            raise
        return servable

    return loader


def addresses(options: Options) -> list[str]:
    """Where to listen, in gRPC's notation; the TCP address first."""
    host = options.listen_address
    tcp = f"[{host}]:{options.port}" if ":" in host else f"{host}:{options.port}"
    return [tcp] + ([f"unix:{options.grpc_socket_path}"] if options.grpc_socket_path else [])


def _wait_until_loaded(manager: Any, names: Sequence[str], signals: Any) -> bool:
    """Wait for the first load of every model; False if a signal came first.

    Raises:
        ServingError: UNKNOWN if every version of some model failed to load.
    """
    from server.model_server.manager import State

    while True:
        known = {name: manager.statuses(name) for name in names}
        failed = {
            name: versions
            for name, versions in known.items()
            if any(error for _, error in versions.values())
            and all(state is State.END for state, _ in versions.values())
        }
        serving = [
            name
            for name, versions in known.items()
            if any(state is State.AVAILABLE for state, _ in versions.values())
        ]
        if len(failed) + len(serving) == len(names):
            break
        try:
            signals.get(timeout=0.02)
        except queue.Empty:
            continue
        return False
    if failed:
        raise _not_available(failed)
    return True


def _not_available(failed: dict[str, dict[int, tuple[Any, ServingError | None]]]) -> ServingError:
    worst = {name: max(versions) for name, versions in failed.items()}
    parts = "".join(
        f"{{name: {name} version: {number}}} due to error: {failed[name][number][1]}}}, "
        for name, number in worst.items()
    )
    text = f"{len(worst)} servable(s) did not become available: {{{parts}}}"
    return ServingError(grpc.StatusCode.UNKNOWN, text)


def _bound(options: Options, manager: Any) -> tuple[Any, Any]:
    """The gRPC server and, if it is wanted, the REST server, with their ports bound.

    Raises:
        ServingError: INVALID_ARGUMENT: a port can't be bound.
    """
    from server.model_server.rest import Rest
    from server.model_server.rest_http import RestServer
    from server.model_server.service import build, methods

    threads = 4 * (os.cpu_count() or 1)
    try:
        server = build(
            methods(manager, options.enable_serialization_as_tensor_content),
            addresses(options),
            options.grpc_max_threads or threads,
            options.enable_grpc_healthcheck_service,
        )
    except RuntimeError as error:
        raise invalid_argument(f"Failed to BuildAndStart gRPC server: {error}") from error
    if not options.rest_api_port:
        return server, None
    answers = Rest(
        manager,
        options.rest_api_num_threads or threads,
        options.rest_api_timeout_in_ms / 1000 or None,
        options.rest_api_enable_cors_support,
    )
    return server, RestServer(options.listen_address, options.rest_api_port, answers)


def _mention(parsed: Parsed) -> None:
    for argument in parsed.unknown:
        _say(f"unknown argument: {argument}", 0)
    for argument in parsed.ignored:
        _say(f"ignored, without effect here: {argument}", 0)


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


def _catch_signals() -> "queue.SimpleQueue[str]":
    """A queue in which SIGTERM and SIGINT show up; a second one ends the process at once.

    A thread takes them: a handler would run only once the main thread wakes up, and one that has
    just gone to sleep on a lock does not wake up for a signal.
    """
    arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # for the threads to come, too

    def watch() -> None:
        arrived.put(signal.Signals(signal.sigwait(stops)).name)
        os._exit(128 + signal.sigwait(stops))

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return arrived


def _log_to_stderr() -> None:
    """Show our own log, one line each, however the rest of the process logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("server.model_server")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
