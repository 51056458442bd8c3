"""Encryption of the gRPC ports, from the file that --ssl_config_file names."""

import contextlib
import os
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import grpc

from server.model_server.errors import ServingError, invalid_argument
from server.model_server.text_files import read_text_proto
from server.model_server.wire.files_pb2 import SSLConfig


def credentials(path: str) -> Any | None:
    """What gRPC's ports are encrypted with.

    gRPC itself takes any text and then fails each handshake without saying why, so what the file
    holds is tried here first.

    Args:
        path: An SSLConfig as text, whose fields hold PEM; empty for no encryption.

    Returns:
        grpc.ServerCredentials, or None for ports without encryption.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT: the file can't be read, or a field of it,
            which the text names, is no good.
    """
    if not path:
        return None
    config = read_text_proto(path, SSLConfig, "tensorflow.serving.SSLConfig", secret=True)
    _check(path, config)
    authorities = config.custom_ca.encode() or None
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], authorities, config.client_verify)


def _check(path: str, config: SSLConfig) -> None:
    if not _has_certificates(config.server_cert):
        raise _refused(path, "server_cert", "holds no PEM certificate")
    if config.client_verify and not config.custom_ca:
        raise _refused(path, "custom_ca", "is empty, with client_verify")
    if config.custom_ca and not _has_certificates(config.custom_ca):
        raise _refused(path, "custom_ca", "holds no PEM certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What is strong enough is for gRPC to say, which brings a TLS library of its own.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with _readable(config.server_cert) as certificate, _readable(config.server_key) as key:
        try:
            # Without a password, an encrypted key would be asked for on the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError:  # ssl.SSLError is one, too.
            why = "is not the private key of server_cert, as PEM without a password"
            raise _refused(path, "server_key", why) from None


def _has_certificates(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError, ValueError):  # TypeError: it is not ASCII
        return False
    return True


@contextlib.contextmanager
def _readable(text: str) -> Iterator[str]:
    """A path at which a text can be read once: Python's ssl takes keys from files alone, and a
    pipe leaves no copy of one on a disk.
    """
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), open(writing, "wb") as stream:  # noqa: PTH123
            stream.write(text.encode())

    thread = threading.Thread(target=write, name="pem")
    thread.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        thread.join()


def _refused(path: str, field: str, why: str) -> ServingError:
    return invalid_argument(f"Invalid SSL configuration in '{path}': {field} {why}")
