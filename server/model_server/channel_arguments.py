"""--grpc_channel_arguments: settings of gRPC's core, as they are written on a command line."""

import re

from server.model_server.errors import invalid_argument

_LARGEST = 2**31 - 1


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """Read `key=value,key=value`.

    Returns:
        The settings in their order; a value is a number if it reads as one of 32 bits.

    Raises:
        ServingError: INVALID_ARGUMENT: a part has no key or no `=`.
    """
    return [_argument(part) for part in text.split(",")] if text else []


def _argument(part: str) -> tuple[str, int | str]:
    key, equals, value = part.partition("=")
    if not key or not equals:
        raise invalid_argument(f"Invalid gRPC channel argument: '{part}' is not key=value")
    # The length first: Python refuses to read more than a few thousand digits.
    if re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value, re.ASCII):
        number = int(value)
        if -_LARGEST - 1 <= number <= _LARGEST:
            return key, number
    return key, value
