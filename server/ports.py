"""Free and taken ports."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

from server.errors import StartError

_NOBODYS = range(20_000, 32_768)


def free_port(*wanted: int) -> int:
    """Returns the wanted port of 127.0.0.1 if it is free, else any that is.

    One that the system would not give to somebody else before a server listens there: connections
    get theirs from 32768 on (Linux) or from 49152 on.

    Raises:
        OSError: none is free.
    """
    chance = random.SystemRandom()  # no two processes are to find the same one
    for port in (*wanted, *(chance.choice(_NOBODYS) for _ in range(1000))):
        with suppress(OSError):
            return _bind("127.0.0.1", port)
    raise OSError("no port of 127.0.0.1 is free")


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
