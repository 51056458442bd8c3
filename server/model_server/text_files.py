"""Configuration files: protobuf messages written as text. Loads no TensorFlow."""

import sys
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from server.model_server.errors import invalid_argument, not_found

M = TypeVar("M", bound=Message)


def read_text_proto(path: str, message_type: type[M], spoken_name: str, secret: bool = False) -> M:
    """The message in a text file.

    Args:
        path: The file, UTF-8.
        message_type: What the file holds.
        spoken_name: The message's full name in the log, which is TensorFlow Serving's even where
            the type is our own.
        secret: Whether the file's content must not show up in the log.

    Raises:
        ServingError: NOT_FOUND if it can't be read, INVALID_ARGUMENT if it can't be parsed.
    """
    message = message_type()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except OSError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        reason = _place(error) if secret else str(error)
        print(f"Error parsing text-format {spoken_name}: {reason}", file=sys.stderr, flush=True)
        cause = None if secret else error  # It quotes the line.
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from cause
    return message


def _place(error: text_format.ParseError | UnicodeDecodeError) -> str:
    if isinstance(error, text_format.ParseError):
        return f"{error.GetLine()}:{error.GetColumn()}"
    return f"byte {error.start} is not UTF-8"
