"""What clients reach: the gRPC server and the REST server, opened and closed together."""

import os
import sys

from server.model_server.channel_arguments import channel_arguments
from server.model_server.errors import invalid_argument, unimplemented
from server.model_server.flags import Options
from server.model_server.manager import Manager
from server.model_server.monitoring import Metrics, prometheus_path
from server.model_server.reload import Configuration
from server.model_server.rest import Rest
from server.model_server.rest_http import RestServer
from server.model_server.service import Server, build, methods
from server.model_server.tls import credentials

_MOST_WAITING = 128
"""Calls that may wait for their batch at the same time, each in a thread."""


class Frontends:
    """The two servers; REST is only there if it was asked for.

    Raises:
        ServingError: A file that a flag names is no good.
    """

    def __init__(self, options: Options, metrics: Metrics) -> None:
        if options.use_alts_credentials:
            # Ignoring it would send in the clear what the user believes to be encrypted.
            raise unimplemented("--use_alts_credentials is not supported by this model server")
        self._options = options
        self._metrics = metrics
        self._credentials = credentials(options.ssl_config_file)
        self._arguments = channel_arguments(options.grpc_channel_arguments)
        wanted = options.monitoring_config_file if options.rest_api_port else ""
        self._metrics_path = prometheus_path(wanted)
        self._grpc: Server | None = None
        self._rest: RestServer | None = None

    def open(self, manager: Manager, configuration: Configuration) -> None:
        """Bind the ports and start to answer; each says so on stderr.

        Raises:
            ServingError: INVALID_ARGUMENT: a port can't be bound.
        """
        options = self._options
        grpc = self._bind_grpc(manager, configuration)
        rest = self._bind_rest(manager) if options.rest_api_port else None
        grpc.start()
        self._grpc = grpc
        _say(f"Running gRPC ModelServer at {options.listen_address}:{grpc.port} ...")
        if rest:
            rest.start()
            self._rest = rest
            _say(f"Exporting HTTP/REST API at:localhost:{rest.port} ...")

    def ports(self) -> tuple[int, int]:
        """The TCP ports of gRPC and REST; 0 for one that isn't open."""
        return (
            self._grpc.port if self._grpc else 0,
            self._rest.port if self._rest else 0,
        )

    def close(self, manager: Manager) -> None:
        """Take no new calls, and finish those in flight."""
        if self._rest:
            self._rest.stop_accepting()
        if self._grpc:
            self._grpc.drain(manager)
        if self._rest:
            self._rest.drain()

    def _bind_grpc(self, manager: Manager, configuration: Configuration) -> Server:
        options = self._options
        as_content = options.enable_serialization_as_tensor_content
        try:
            return build(
                methods(manager, as_content, configuration, self._metrics),
                addresses(options),
                options.grpc_max_threads or _threads(options),
                options.enable_grpc_healthcheck_service,
                self._credentials,
                self._arguments,
                self._metrics,
            )
        except RuntimeError as error:
            raise invalid_argument(f"Failed to BuildAndStart gRPC server: {error}") from error

    def _bind_rest(self, manager: Manager) -> RestServer:
        options = self._options
        answers = Rest(
            manager,
            options.rest_api_num_threads or _threads(options),
            options.rest_api_timeout_in_ms / 1000 or None,
            options.rest_api_enable_cors_support,
            self._metrics,
            self._metrics_path,
        )
        return RestServer(options.listen_address, options.rest_api_port, answers)


def addresses(options: Options) -> list[str]:
    """Where gRPC listens, in its notation; the TCP address first."""
    host = options.listen_address
    tcp = f"[{host}]:{options.port}" if ":" in host else f"{host}:{options.port}"
    return [tcp] + ([f"unix:{options.grpc_socket_path}"] if options.grpc_socket_path else [])


def _threads(options: Options) -> int:
    # A call that waits for its batch keeps its thread; with few there would be no large batches.
    return _MOST_WAITING if options.enable_batching else 4 * (os.cpu_count() or 1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
