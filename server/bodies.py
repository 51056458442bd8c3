"""From an HTTP request to the images in it and what is asked of them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Request

from server.problems import (
    BAD_BODY,
    BAD_PARAMETER,
    NO_IMAGE,
    TOO_MANY_IMAGES,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)

#: Labels in an answer where the caller does not say how many.
DEFAULT_TOP_K = 5
PART_NAME = "image"

# curl --data-binary says the last one unless told otherwise; a browser's form never sends a
# picture that way, so it is taken as the picture itself.
_RAW_TYPES = ("application/octet-stream", "", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Asked:
    """The images of a request, undecoded, and how many labels each answer has."""

    images: list[bytes]
    top_k: int


class _Encoded(msgspec.Struct):
    b64: str


class _Json(msgspec.Struct, forbid_unknown_fields=True):
    image: str | _Encoded | None = None
    images: list[str | _Encoded] | None = None
    top_k: Any = None


def read(request: Request, max_images: int) -> Asked:
    """Reads a `:classify` request: a raw body, multipart, or JSON with base64.

    Raises:
        Problem: an unknown type, broken JSON, no image, too many, or a wrong parameter.
    """
    mimetype = request.mimetype
    top_k: object = request.args.get("top_k")
    if mimetype == "multipart/form-data":
        images = [part.read() for part in request.files.getlist(PART_NAME)]
        top_k = request.form.get("top_k", top_k)
        missing = f"the form has no file part named {PART_NAME!r}"
    elif mimetype == "application/json":
        body = _json(request.get_data(cache=False))
        images = _from_json(body)
        top_k = top_k if body.top_k is None else body.top_k
        missing = "the JSON has neither 'image' nor 'images'"
    elif mimetype.startswith("image/") or mimetype in _RAW_TYPES:
        content = request.get_data(cache=False)
        images = [content] if content else []
        missing = "the body is empty"
    else:
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type {mimetype!r}: send image/*, application/octet-stream,"
            " multipart/form-data or application/json",
        )
    if not images:
        raise Problem(NO_IMAGE, missing)
    if len(images) > max_images:
        raise Problem(TOO_MANY_IMAGES, f"{len(images)} images, at most {max_images} are allowed")
    return Asked(images, _top_k(top_k))


def _json(data: bytes) -> _Json:
    try:
        return msgspec.json.decode(data, type=_Json)
    except msgspec.ValidationError as error:
        raise Problem(BAD_BODY, f"the JSON is not as expected: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Problem(BAD_BODY, f"the body is not JSON: {error}") from error


def _from_json(body: _Json) -> list[bytes]:
    items = list(body.images or [])
    if body.image is not None:
        items.append(body.image)
    return [_from_base64(item, place) for place, item in enumerate(items)]


def _from_base64(item: str | _Encoded, place: int) -> bytes:
    text = item if isinstance(item, str) else item.b64
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(BAD_BODY, f"image {place}: not base64: {error}") from error


def _top_k(value: object) -> int:
    if value is None:
        return DEFAULT_TOP_K
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise Problem(BAD_PARAMETER, f"top_k={value}: a whole number of at least 1 is expected")
    return number
