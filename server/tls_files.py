"""The files of TLS to the model server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.errors import SettingsError
from contract.settings import PREFIX, Settings


@dataclass(frozen=True)
class TlsFiles:
    """PEM texts; None where no file was named."""

    ca: bytes
    certificate: bytes | None
    key: bytes | None


def read(settings: Settings) -> TlsFiles | None:
    """Reads the files that the settings name; None if the model server is called without TLS.

    Raises:
        SettingsError: a file can't be read.
    """
    ca = _read("CA", settings.model_server_ca)
    if ca is None:
        return None
    certificate = _read("CERTIFICATE", settings.model_server_certificate)
    return TlsFiles(ca, certificate, _read("KEY", settings.model_server_key))


def _read(name: str, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{PREFIX}MODEL_SERVER_{name}={file}: {error.strerror}") from error
