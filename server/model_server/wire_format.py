"""Protobuf's wire format, as far as speed makes us write it ourselves."""

LENGTH_DELIMITED = 2


def varint(number: int) -> bytes:
    """A number ≥ 0, seven bits a byte."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def framed(number: int, body: bytes) -> bytes:
    """A field (of a number below 16) that is bytes, text, a message or a packed list."""
    return bytes([number << 3 | LENGTH_DELIMITED]) + varint(len(body)) + body
