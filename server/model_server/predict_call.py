"""Reading a PredictRequest without copying its large tensors.

Protobuf copies the bytes of a field when it parses a message, and again when Python asks for them.
For a request with a batch of images that costs more than all the rest of the call. So the content
of large tensors is cut out first, and the message is parsed without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorflow_serving.apis import predict_pb2

from server.model_server.wire_format import LENGTH_DELIMITED, framed

_LARGE = 16_384
"""Messages from this size on are searched for content to cut out."""

_INPUTS, _KEY, _VALUE, _CONTENT = 2, 1, 2, 4
"""Field numbers: PredictRequest.inputs, the key and the value of its entries, and
TensorProto.tensor_content."""


@dataclass(frozen=True)
class PredictCall:
    """A PredictRequest, and the content of tensors that it doesn't hold itself.

    Attributes:
        request: The request; a tensor whose alias is in `contents` has no tensor_content.
        contents: The missing content, views of the message.
    """

    request: Any
    contents: Mapping[str, memoryview] = field(default_factory=dict)

    @property
    def model_spec(self) -> Any:
        return self.request.model_spec


class _OddError(Exception):
    """A form that no client uses, but that protobuf knows what to do with."""


def parse(message: bytes) -> PredictCall:
    """Read a serialized PredictRequest.

    Raises:
        DecodeError: It isn't one.
    """
    if len(message) >= _LARGE:
        try:
            rest, contents = _without_contents(memoryview(message))
        except (_OddError, IndexError):
            pass
        else:
            return PredictCall(predict_pb2.PredictRequest.FromString(rest), contents)
    return PredictCall(predict_pb2.PredictRequest.FromString(message))


def _without_contents(message: memoryview) -> tuple[bytes, dict[str, memoryview]]:
    kept: list[Any] = []
    contents: dict[str, memoryview] = {}
    aliases: set[str] = set()
    for number, start, body, end in _fields(message):
        if number != _INPUTS:
            kept.append(message[start:end])
            continue
        alias, tensor = _entry(message[body:end])
        if alias in aliases:
            raise _OddError  # The last one counts, but its content needn't.
        aliases.add(alias)
        parts, content = _tensor(tensor)
        if content is None:
            kept.append(message[start:end])
            continue
        contents[alias] = content
        key, value = alias.encode(), b"".join(parts)
        entry = framed(_KEY, key) + framed(_VALUE, value)
        kept.append(framed(_INPUTS, entry))
    return b"".join(kept), contents


def _entry(entry: memoryview) -> tuple[str, memoryview]:
    fields = _fields(entry)
    if [number for number, *_ in fields] != [_KEY, _VALUE]:
        raise _OddError
    key, value = (entry[body:end] for _, _, body, end in fields)
    try:
        return str(key, "utf-8"), value
    except UnicodeDecodeError:
        raise _OddError from None


def _tensor(tensor: memoryview) -> tuple[list[memoryview], memoryview | None]:
    """A TensorProto's fields but its content, and that."""
    parts: list[memoryview] = []
    content = None
    if len(tensor) < _LARGE:
        return parts, content
    for number, start, body, end in _fields(tensor):
        if number != _CONTENT:
            parts.append(tensor[start:end])
        elif content is None:
            content = tensor[body:end]
        else:
            raise _OddError
    return parts, content if content else None


def _fields(message: memoryview) -> "list[tuple[int, int, int, int]]":
    """Number, start, start of the value and end of each field.

    Raises:
        _OddError: A field isn't length-delimited, unless it is a small number.
        IndexError: The message ends early.
    """
    found = []
    position, size = 0, len(message)
    while position < size:
        start = position
        tag, position = _varint(message, position)
        if tag & 7 == LENGTH_DELIMITED:
            length, body = _varint(message, position)
            position = body + length
            if position > size:
                raise IndexError
        elif tag & 7 == 0:
            body = position
            _, position = _varint(message, position)
        else:
            raise _OddError
        found.append((tag >> 3, start, body, position))
    return found


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise _OddError
