"""What schemathesis can't know: names that are served, real pictures, what counts as a failure.

It loads this file by SCHEMATHESIS_HOOKS. Of what it makes up most becomes something that gets past
the first check, the rest stays as it is.
"""

import base64
import hashlib
import io
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image


def _picture(kind: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((24, 16), 90).convert(mode).save(buffer, kind)
    return buffer.getvalue()


PICTURES = [_picture(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")]
PICTURES += [_picture("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]


@strategies.composite
def _files(draw: strategies.DrawFn) -> bytes:
    """A picture, one that is cut or changed, or anything."""
    data = bytearray(draw(strategies.sampled_from(PICTURES)))
    what = draw(strategies.sampled_from(("whole", "whole", "cut", "changed", "any")))
    if what == "cut":
        del data[draw(strategies.integers(0, len(data))) :]
    elif what == "changed":
        place = draw(strategies.integers(0, len(data) - 1))
        data[place] ^= draw(strategies.integers(1, 255))
    elif what == "any":
        return draw(strategies.binary(max_size=64))
    return bytes(data)


for media_type in ("image/*", "image/png", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, _files())
schemathesis.openapi.format("binary", _files())


def _share(value: object) -> float:
    """A number from 0 to 1 that looks random and is the same for the same value."""
    return hashlib.sha256(repr(value).encode("utf-8", "replace")).digest()[0] / 255


@schemathesis.hook
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> Any:
    if parameters and _share(parameters) < 0.8:
        known = {"name": "pets", "number": 1, "label": "stable", "file": "page.js"}
        return {name: known.get(name, value) for name, value in parameters.items()}
    return parameters


@schemathesis.hook
def before_call(_context: Any, case: Any, _arguments: Any) -> None:
    if "X-Request-Timeout" in case.headers and _share(case.id) < 0.9:
        case.headers["X-Request-Timeout"] = "5"  # the least that is allowed is no time at all


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    if not isinstance(body, dict) or _share(body) > 0.8:
        return body
    picture = PICTURES[int(_share(body) * 1000) % len(PICTURES)]
    text = base64.b64encode(picture).decode()
    if isinstance(body.get("image"), str | dict):
        body["image"] = text
    if isinstance(body.get("images"), list):
        body["images"] = [text for _ in body["images"][:4]]
    if isinstance(body.get("instances"), list):
        body["instances"] = [{"b64": text} for _ in body["instances"][:4]]
    if isinstance(body.get("inputs"), list) and "instances" not in body and "id" in body:
        body["inputs"] = [{"name": "images", "shape": [1], "datatype": "BYTES", "data": [text]}]
    return body


@schemathesis.check
def no_failure_of_the_gateway(_context: Any, response: Any, _case: Any) -> None:
    """504 is what a caller gets who won't wait."""
    assert response.status_code < 500 or response.status_code == 504, response.status_code
