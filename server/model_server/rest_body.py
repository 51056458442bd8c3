"""The body of an HTTP request: how long it is, in chunks or not, compressed or not. All bounded."""

import gzip
import io
import re
import zlib
from email.message import Message
from typing import BinaryIO

MOST_BYTES = 64 * 2**20
"""Longest body taken, compressed or not: some 60 images of 256 × 256 × 3 as JSON. Read, they need
about ten times as much memory."""

_LONGEST_LINE = 4096
_MOST_TRAILERS = 100


class BodyError(Exception):
    """A body that isn't taken: the HTTP status and the text for the caller."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def declared_length(headers: Message) -> int:
    """The body's length as the headers tell it; 0 if they don't.

    Raises:
        BodyError: It is no number, or more than MOST_BYTES, or there are two.
    """
    lengths = {value.strip() for value in headers.get_all("Content-Length", [])}
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch("[0-9]+", min(lengths), re.ASCII):
        raise BodyError(400, "Bad Content-Length")
    digits = lengths.pop().lstrip("0") or "0"
    if len(digits) > len(str(MOST_BYTES)) or int(digits) > MOST_BYTES:
        raise _too_large()
    return int(digits)


def read_body(headers: Message, stream: BinaryIO) -> bytes:
    """Read a request's body to its end, and decompress it.

    Raises:
        BodyError: It is too large or malformed, or it ends early.
    """
    transfers = headers.get_all("Transfer-Encoding", [])
    if transfers:
        # Both lengths at once is how requests are smuggled past a proxy.
        if "Content-Length" in headers or [t.strip().lower() for t in transfers] != ["chunked"]:
            raise BodyError(400, "Bad Transfer-Encoding")
        body = _read_chunks(stream)
    else:
        body = _read_exactly(stream, declared_length(headers))
    encoding = str(headers.get("Content-Encoding", "")).strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _decompressed(body)
    if encoding not in ("", "identity"):
        raise BodyError(415, "Content-Encoding must be gzip or absent")
    return body


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) < size:
        raise BodyError(400, "The body ends early")
    return data


def _read_chunks(stream: BinaryIO) -> bytes:
    body = bytearray()
    while True:
        size = re.fullmatch(rb"([0-9a-fA-F]{1,8})[ \t]*(;.*)?\r?\n", _read_line(stream), re.DOTALL)
        if size is None:
            raise BodyError(400, "Bad chunk size")
        count = int(size[1], 16)
        if len(body) + count > MOST_BYTES:
            raise _too_large()
        if count == 0:
            break
        body += _read_exactly(stream, count)
        if _read_line(stream) not in (b"\r\n", b"\n"):
            raise BodyError(400, "Bad chunk end")
    for _ in range(_MOST_TRAILERS):
        if _read_line(stream) in (b"\r\n", b"\n"):
            return bytes(body)
    raise BodyError(400, "Too many trailers")


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise BodyError(400, "The body ends early")
    return line


def _decompressed(body: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise BodyError(400, "The body is not gzip") from None
    if len(data) > MOST_BYTES:
        raise _too_large()
    return data


def _too_large() -> BodyError:
    return BodyError(413, f"The body has more than {MOST_BYTES} bytes")
