"""`:predict` as TensorFlow Serving and KServe's V1 protocol have it: JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from contract.pixels import PixelSpec
from server.bodies import ABSENT, Encoded, check_count, decode_json, from_base64
from server.decoding import Source
from server.number_arrays import check_amount, to_pixels
from server.problems import BAD_BODY, BAD_PARAMETER, NO_IMAGE, Problem

_SIGNATURE = "serving_default"

_Numbers = list[list[list[int | float]]]
# A row may have its input's name around it, {"b64": …} be a row as it is.
_Row = dict[str, str | Encoded | _Numbers] | _Numbers
_Column = list[Encoded | _Numbers]


@dataclass(frozen=True)
class Instances:
    """The images of a request.

    Attributes:
        images: files or pixels.
        by_columns: whether the request had `inputs`, and the answer has `outputs`.
    """

    images: list[Source]
    by_columns: bool


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    instances: msgspec.Raw = ABSENT
    inputs: msgspec.Raw = ABSENT
    signature_name: str | None = None


def read(data: bytes, spec: PixelSpec, max_images: int, max_pixels: int) -> Instances:
    """Reads the rows (`instances`) or the column (`inputs`) of a request.

    An image is `{"b64": …}`, or pixels as nested numbers [H, W, C] from 0 to 255; either may be
    under one name, whichever it is.

    Args:
        spec: the pixels of the model, which bound how many numbers are read.

    Raises:
        Problem: it is no such request, or has no image, or too many.
    """
    check_amount(data, spec, max_images, max_pixels)
    body: _Body = decode_json(data, _Body)
    if body.signature_name not in (None, "", _SIGNATURE):
        raise Problem(BAD_PARAMETER, f"signature_name: only {_SIGNATURE} is served here")
    if (body.instances is ABSENT) == (body.inputs is ABSENT):
        raise Problem(BAD_BODY, "the JSON has one of 'instances' and 'inputs'")
    items = _items(body)
    if not items:
        raise Problem(NO_IMAGE, "the JSON has no image")
    check_count(len(items), max_images)
    return Instances([_source(item) for item in items], body.inputs is not ABSENT)


def answer(instances: Instances, rows: Sequence[Any]) -> dict[str, Any]:
    """Returns the answer with the probabilities of each image."""
    return {"outputs" if instances.by_columns else "predictions": [row.tolist() for row in rows]}


def _items(body: _Body) -> list[Any]:
    if body.instances is not ABSENT:
        rows = decode_json(body.instances, list[_Row])
        return [_unnamed(row, place) for place, row in enumerate(rows)]
    column = decode_json(body.inputs, dict[str, _Column] | _Column)
    if isinstance(column, dict):
        if len(column) != 1:
            raise Problem(BAD_BODY, f"inputs: one input is expected, not {len(column)}")
        column = next(iter(column.values()))
    return list(column)


def _unnamed(row: Any, place: int) -> Any:
    if isinstance(row, list):
        return row
    if len(row) != 1:
        raise Problem(BAD_BODY, f"instance {place}: one input is expected, not {len(row)}")
    ((name, value),) = row.items()
    if isinstance(value, str):
        if name != "b64":
            raise Problem(BAD_BODY, f'instance {place}: bytes are written {{"b64": "…"}}')
        return Encoded(value)
    return value


def _source(item: Any) -> Source:
    return from_base64(item.b64) if isinstance(item, Encoded) else to_pixels(item)
