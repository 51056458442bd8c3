"""Free and taken ports."""

from __future__ import annotations

import socket

from server.errors import StartError


def free_port(wanted: int) -> int:
    """Returns the wanted port of 127.0.0.1 if it is free, else any that is."""
    try:
        return _bind("127.0.0.1", wanted)
    except OSError:
        return _bind("127.0.0.1", 0)


def check_port(host: str, port: int, variables: str = "LINCE_HOST, LINCE_PORT") -> None:
    """Raises StartError if the gateway could not listen there.

    Without this, a second gateway would start on the port of the first and take half its requests.
    """
    try:
        _bind(host, port)
    except OSError as error:
        raise StartError(
            f"the gateway can't listen on {host}:{port} ({variables}): {error.strerror}"
        ) from error


def is_open(host: str, port: int) -> bool:
    """Tells whether something accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _bind(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # What servers do: a port on which connections have just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])
