"""What TLS to the model server needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import SettingsError
from contract.settings import PREFIX, Settings


@dataclass(frozen=True)
class Tls:
    """PEM texts.

    Attributes:
        ca: certificates that the model server's is checked by.
        certificate: the caller's own, where the model server wants one; else None.
        key: of that certificate.
        name: in the model server's certificate, where it isn't the address's; else empty.
    """

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    name: str = ""


def read(settings: Settings) -> Tls | None:
    """Reads the files that the settings name; None if the model server is called without TLS.

    Raises:
        SettingsError: a file can't be read.
    """
    ca = _read("CA", settings.model_server_ca)
    if ca is None:
        return None
    certificate = _read("CERTIFICATE", settings.model_server_certificate)
    key = _read("KEY", settings.model_server_key)
    return Tls(ca, certificate, key, settings.model_server_name)


def _read(name: str, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{PREFIX}MODEL_SERVER_{name}={file}: {error.strerror}") from error
