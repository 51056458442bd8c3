"""Keys, files of them, and a clock that only tests move."""

from dataclasses import dataclass
from pathlib import Path

from server.security import key_file
from server.security.key_file import Key


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def keys_in(path: Path, *keys: Key) -> Path:
    """Writes a file of exactly these keys."""
    with key_file.changing(path) as held:
        held[:] = keys
    return path


def made(name: str, rate: float | None = None, burst: int | None = None) -> tuple[str, Key]:
    """Returns a new key, as its holder has it and as the file does."""
    secret = key_file.new_secret()
    return secret, key_file.new_key(name, secret, rate, burst)
