"""A request of the Open Inference Protocol (V2), JSON with or without binary tensors behind it.

https://github.com/kserve/open-inference-protocol, with the binary tensor data extension.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from contract.pixels import PixelSpec
from server.bodies import ABSENT, check_count, decode_json, from_base64
from server.decoding import Source
from server.number_arrays import check_amount, to_pixels
from server.problems import BAD_BODY, BAD_PARAMETER, NO_IMAGE, Problem

#: How many bytes of a body are its JSON; binary tensors follow.
LENGTH_HEADER = "Inference-Header-Content-Length"

PROBABILITIES, LABEL = OUTPUTS = ("probabilities", "label")
_LENGTH = re.compile("[0-9]{1,12}")
_NESTED = re.compile(rb"\s*\[\s*\[")
_Numbers = list[int | float]
ENCODED, PIXELS = "BYTES", "UINT8"


@dataclass(frozen=True)
class Inference:
    """What is asked.

    Attributes:
        images: files or pixels.
        id: of the request, or None.
        outputs: (name, whether it is to be binary), in the order of the answer.
    """

    images: list[Source]
    id: str | None
    outputs: list[tuple[str, bool]]


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: msgspec.Raw = ABSENT


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


def read(
    data: bytes, json_length: str | None, name: str, spec: PixelSpec, limits: tuple[int, int]
) -> Inference:
    """Reads a request.

    Args:
        data: the body.
        json_length: the header LENGTH_HEADER.
        name: of the model's only input.
        spec: the pixels of the model.
        limits: most images, and most pixels of one.

    Raises:
        Problem: it is no such request, or has no image, or too many.
    """
    json, binary = _split(data, json_length)
    check_amount(json, spec, *limits)
    request: _Request = decode_json(json, _Request)
    if len(request.inputs) != 1 or request.inputs[0].name != name:
        raise Problem(BAD_BODY, f"inputs: one is expected, {name!r}")
    tensor = request.inputs[0]
    if tensor.datatype not in (ENCODED, PIXELS):
        raise Problem(BAD_BODY, f"datatype: {ENCODED} or {PIXELS} is expected")
    if not tensor.shape or min(tensor.shape) < 0:
        raise Problem(BAD_BODY, "shape: the first dimension counts the images")
    if tensor.shape[0] == 0:
        raise Problem(NO_IMAGE, "shape: no image")
    check_count(tensor.shape[0], limits[0])
    source = _encoded if tensor.datatype == ENCODED else _pixels
    return Inference(source(tensor, binary), request.id, _outputs(request))


def _split(data: bytes, json_length: str | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return data, memoryview(b"")
    # Not int() of any text: it takes signs, spaces, other alphabets' digits, and not too many.
    length = int(json_length) if _LENGTH.fullmatch(json_length) else -1
    if not 0 <= length <= len(data):
        raise Problem(BAD_BODY, f"{LENGTH_HEADER}: a length of the body's beginning is expected")
    return data[:length], memoryview(data)[length:]


def _encoded(tensor: _Input, binary: memoryview) -> list[Source]:
    if len(tensor.shape) > 2 or tensor.shape[1:] not in ([], [1]):
        raise Problem(BAD_BODY, f"shape: [N] or [N, 1] is expected of {ENCODED}")
    if tensor.data is ABSENT:
        files: list[Source] = list(_strings(_binary(tensor, binary), tensor.shape[0]))
    else:
        _no_binary(binary)
        texts = decode_json(tensor.data, list[str | list[str]])
        files = [from_base64(text) for each in texts for text in _flat(each)]
    if len(files) != tensor.shape[0]:
        raise Problem(BAD_BODY, f"{len(files)} elements for the shape {tensor.shape}")
    return files


def _flat(item: str | list[str]) -> list[str]:
    return [item] if isinstance(item, str) else item


def _pixels(tensor: _Input, binary: memoryview) -> list[Source]:
    if len(tensor.shape) != 4:
        raise Problem(BAD_BODY, f"shape: [N, height, width, channels] is expected of {PIXELS}")
    if tensor.data is ABSENT:
        levels = np.frombuffer(_binary(tensor, binary), np.uint8)
    else:
        _no_binary(binary)
        made = to_pixels(_numbers(tensor.data))
        if isinstance(made, Problem):
            raise made
        levels = made
    if levels.size != math.prod(tensor.shape):
        raise Problem(BAD_BODY, f"{levels.size} elements for the shape {tensor.shape}")
    return list(levels.reshape(tensor.shape))


def _numbers(data: msgspec.Raw) -> list[Any]:
    """All in a row, or nested as the shape says. Nothing but numbers: NumPy would give each of many
    short texts the room of the longest."""
    nested = _NESTED.match(data) is not None
    kind = list[list[list[_Numbers]]] if nested else _Numbers
    numbers: list[Any] = decode_json(data, kind)
    return numbers


def _binary(tensor: _Input, binary: memoryview) -> memoryview:
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is None:
        raise Problem(BAD_BODY, "the input has neither 'data' nor 'binary_data_size'")
    if size != len(binary) or isinstance(size, bool):
        raise Problem(BAD_BODY, f"binary_data_size: {len(binary)} bytes came")
    return binary


def _no_binary(binary: memoryview) -> None:
    if len(binary):
        raise Problem(BAD_BODY, "the input has 'data', and there are bytes behind the JSON")


def _strings(binary: memoryview, most: int) -> list[bytes]:
    """Each with its length before it, 4 bytes, little-endian."""
    strings: list[bytes] = []
    at = 0
    while at < len(binary):
        if len(strings) == most:
            raise Problem(BAD_BODY, "the binary data has more elements than the shape")
        if at + 4 > len(binary):
            raise Problem(BAD_BODY, "the binary data ends within a length")
        (length,) = struct.unpack_from("<I", binary, at)
        at += 4 + length
        if at > len(binary):
            raise Problem(BAD_BODY, "the binary data ends within an element")
        strings.append(bytes(binary[at - length : at]))
    return strings


def _outputs(request: _Request) -> list[tuple[str, bool]]:
    usual = _flag(request.parameters, "binary_data_output", False)
    if not request.outputs:
        return [(name, usual) for name in OUTPUTS]
    asked = []
    for output in request.outputs:
        if output.name not in OUTPUTS:
            raise Problem(BAD_PARAMETER, f"outputs: there are {' and '.join(OUTPUTS)}")
        if "classification" in (output.parameters or {}):
            raise Problem(
                BAD_PARAMETER, f"outputs: no extension 'classification' here; take {LABEL!r}"
            )
        asked.append((output.name, _flag(output.parameters, "binary_data", usual)))
    if len({name for name, _ in asked}) < len(asked):
        raise Problem(BAD_PARAMETER, "outputs: one is there twice")
    return asked


def _flag(parameters: dict[str, Any] | None, name: str, usual: bool) -> bool:
    value = (parameters or {}).get(name, usual)
    if not isinstance(value, bool):
        raise Problem(BAD_PARAMETER, f"{name}: true or false is expected")
    return value
