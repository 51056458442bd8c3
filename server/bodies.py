"""From an HTTP request to the images in it and the parameters beside them."""

from __future__ import annotations

import binascii
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, cast

import msgspec
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import cached_property

from server.arrival import KEY
from server.problems import (
    BAD_BODY,
    BAD_PARAMETER,
    NO_IMAGE,
    TOO_MANY_IMAGES,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)

PART_NAME = "image"

#: A member of a JSON object that isn't there, of those that are decoded later.
ABSENT = msgspec.Raw()

# curl --data-binary says the last one unless told otherwise; a browser's form never sends a
# picture that way, so it is taken as the picture itself.
_RAW_TYPES = ("application/octet-stream", "", "application/x-www-form-urlencoded")
# Of a form, beside its images.
_MOST_FIELDS = 16


class InMemory(Request):
    """A request whose files stay in memory: Werkzeug would write large ones to the disk, where
    callers' pictures have no business. Nor does it copy a body to count what the front counted."""

    @cached_property
    def stream(self) -> IO[bytes]:
        if KEY in self.environ:
            return cast(IO[bytes], self.environ["wsgi.input"])
        return super().stream

    def _get_file_stream(self, *_args: Any, **_more: Any) -> IO[bytes]:
        return io.BytesIO()


@dataclass(frozen=True)
class Asked:
    """What a request brings.

    Attributes:
        images: files, undecoded; a Problem in the place of one that can't be read.
        parameters: name → value as it was sent: text, or any JSON value.
    """

    images: list[bytes | Problem]
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Encoded(msgspec.Struct):
    """Bytes in JSON, as TensorFlow Serving writes them."""

    b64: str


def read(request: Request, max_images: int, parameters: Collection[str]) -> Asked:
    """Reads images as a raw body, as multipart, or as JSON with base64.

    Args:
        max_images: most in one request.
        parameters: the names that are taken, from the query, the form's fields or the JSON's
            members; the last two win.

    Raises:
        Problem: an unknown type, broken JSON, no image, or too many.
    """
    given = {name: request.args[name] for name in parameters if name in request.args}
    mimetype = request.mimetype
    if mimetype == "multipart/form-data":
        asked = _form(request, max_images, parameters)
        missing = f"the form has no file part named {PART_NAME!r}"
    elif mimetype == "application/json":
        asked = _json(content(request), max_images, parameters)
        missing = "the JSON has neither 'image' nor 'images'"
    elif mimetype.startswith("image/") or mimetype in _RAW_TYPES:
        data = content(request)
        asked = Asked([data] if data else [])
        missing = "the body is empty"
    else:
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE,
            "send image/*, application/octet-stream, multipart/form-data or application/json",
        )
    if not asked.images:
        raise Problem(NO_IMAGE, missing)
    return Asked(asked.images, {**given, **asked.parameters})


def content(request: Request) -> bytes:
    """Returns a request's body.

    Raises:
        Problem: it is compressed as a whole.
    """
    _check_plain(request)
    return request.get_data(cache=False)


def check_count(images: int, most: int) -> None:
    """Raises:
    Problem: there are more images than one request may have.
    """
    if images > most:
        raise Problem(TOO_MANY_IMAGES, f"{images} images, at most {most} are allowed")


def decode_json(data: bytes | msgspec.Raw, kind: type[Any] | Any) -> Any:
    """Decodes JSON, checked against a type; its depth is bounded.

    Raises:
        Problem: it is no JSON, or another one than wanted.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(BAD_BODY, f"the JSON is not as expected: {error}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Problem(BAD_BODY, f"the body is not JSON: {error}") from error


def from_base64(text: str) -> bytes | Problem:
    """Decodes base64; what is none is a problem of the image alone."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error is one
        return Problem(BAD_BODY, f"not base64: {error}")


def _check_plain(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(UNSUPPORTED_MEDIA_TYPE, "send the body without a Content-Encoding")


def _form(request: Request, max_images: int, parameters: Collection[str]) -> Asked:
    _check_plain(request)
    # Werkzeug would go on to 1,000 parts.
    request.max_form_parts = max_images + _MOST_FIELDS
    try:
        files = request.files.getlist(PART_NAME)
    except RequestEntityTooLarge as error:
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise
        raise Problem(
            TOO_MANY_IMAGES, f"the form has more than {request.max_form_parts} parts"
        ) from error
    check_count(len(files), max_images)
    fields = {name: request.form[name] for name in parameters if name in request.form}
    return Asked([part.read() for part in files], fields)


def _json(data: bytes, max_images: int, parameters: Collection[str]) -> Asked:
    members = decode_json(data, dict[str, msgspec.Raw])
    if "examples" in members:
        raise Problem(
            BAD_PARAMETER,
            "'examples' is TensorFlow Serving's own form of classify, which only its own API takes:"
            " send 'image' or 'images' with base64",
        )
    images, values = [], {}
    for name, value in members.items():
        if name == "image":
            images.append(decode_json(value, str | Encoded | None))
        elif name == "images":
            images[:0] = decode_json(value, list[str | Encoded] | None) or []
        elif name in parameters:
            values[name] = decode_json(value, Any)
        else:
            raise Problem(BAD_BODY, f"the JSON has a member {name[:50]!r}, which is not known")
    texts = [item if isinstance(item, str) else item.b64 for item in images if item is not None]
    check_count(len(texts), max_images)
    return Asked([from_base64(text) for text in texts], values)
