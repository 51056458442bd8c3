"""Pictures whose class the fake model server tells by their brightness."""

import base64
import io

from PIL import Image


def plain(brightness: int, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (brightness,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


DARK, MIDDLE, LIGHT = plain(10), plain(128), plain(250)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def nested(brightness: int, side: int = 8, channels: int = 3) -> list:
    """The same picture as numbers."""
    return [[[brightness] * channels for _ in range(side)] for _ in range(side)]
