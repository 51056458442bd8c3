"""The file of API keys: JSON with a name and a hash for each key, never a key itself.

    {"keys": [{"name": "shop", "sha256": "9f86…", "created": "2026-01-31T12:00:00Z", "rate": 5}]}

A key is 256 random bits, so nobody finds it from its SHA-256 by guessing. Hashes that are slow on
purpose (bcrypt, scrypt) are for passwords that people choose; here they would add nothing but a
way to keep the gateway busy with wrong keys.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from contract.files import write_whole
from server.errors import KeyFileError

#: What every key begins with, so that programs that look for leaked secrets can tell it.
PREFIX = "lince_"
#: Keys in one file; the shared table of rates has room for all of them.
MOST_KEYS = 4096
#: Of a key's requests: far above what a gateway answers, so that arithmetic stays exact.
MOST_PER_SECOND = 10_000
_MOST_BYTES = 2 * 1024 * 1024
_SECRET_BYTES = 32

_Rate = Annotated[float, Meta(ge=0, le=MOST_PER_SECOND)]
_Burst = Annotated[int, Meta(ge=1, le=MOST_PER_SECOND)]


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An entry of the file.

    Attributes:
        name: what the log calls its holder.
        sha256: of the whole key, as hexadecimal digits.
        created: when it was made.
        rate: requests per second, 0 for no limit; None leaves it to LINCE_RATE.
        burst: requests that may come at once; None is what two seconds bring.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    created: Annotated[datetime, Meta(tz=True)]
    rate: _Rate | None = None
    burst: _Burst | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[tuple[Key, ...], Meta(max_length=MOST_KEYS)]


def new_secret() -> str:
    """Returns a new key, to be given to its holder and kept nowhere."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def new_key(name: str, secret: str, rate: float | None, burst: int | None) -> Key:
    """Returns the entry of a key that is made now.

    Raises:
        KeyFileError: the name or a number is not what the file allows.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    key = Key(name, digest(secret).hex(), now, rate, burst)
    try:
        return msgspec.convert(msgspec.to_builtins(key), Key)
    except msgspec.ValidationError as error:
        raise KeyFileError(f"key {name}: {error}") from error


def digest(secret: str) -> bytes:
    """Returns a key's SHA-256; of any text at all, since callers send what they like."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def read(path: Path) -> tuple[Key, ...]:
    """Reads a file of keys.

    Raises:
        KeyFileError: it can't be read or is wrong; the text names the file and the line or field.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise KeyFileError(f"{path}: larger than {_MOST_BYTES:,} bytes")
    try:
        return _parse(content)
    except ValueError as error:
        raise KeyFileError(f"{path}: {error}") from error


@contextmanager
def changing(path: Path) -> Iterator[list[Key]]:
    """Gives the keys of a file, none if there is no file, and writes what becomes of the list.

    The file is complete or as it was, whoever may read it stays the same, and nobody else changes
    it meanwhile.

    Raises:
        KeyFileError: it can't be read or is wrong.
        OSError: it can't be written.
    """
    path = path.resolve()  # a link stays one
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        mode = path.stat().st_mode if path.exists() else None
        keys = [] if mode is None else list(read(path))
        yield keys
        text = msgspec.json.format(msgspec.json.encode(_File(tuple(keys))), indent=2)
        write_whole(path, text + b"\n")
        if mode is not None:
            path.chmod(stat.S_IMODE(mode))
    finally:
        os.close(folder)


def _parse(content: bytes) -> tuple[Key, ...]:
    try:
        keys = msgspec.json.decode(content, type=_File).keys
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise ValueError(f"line {_line(content, str(error))}: {error}") from error
    _check_distinct(keys)
    return keys


def _line(content: bytes, message: str) -> int:
    """The line, from 1, of the byte that msgspec's message names; else the last one."""
    place = re.search(r"\(byte (\d+)\)", message)
    return content[: int(place[1]) if place else None].count(b"\n") + 1


def _check_distinct(keys: tuple[Key, ...]) -> None:
    names: dict[str, int] = {}
    hashes: dict[str, int] = {}
    for place, key in enumerate(keys):
        for field, seen, value in (("name", names, key.name), ("sha256", hashes, key.sha256)):
            first = seen.setdefault(value, place)
            if first != place:
                raise ValueError(f"keys[{place}].{field} is the same as keys[{first}].{field}")
