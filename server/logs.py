"""The log: one line of JSON for whatever the gateway and its libraries have to say.

A line has `time` (seconds since 1970), `level`, `logger` and `message`; within a request also its
`request_id` and `trace_id`; an exception's traceback is the member `exception`. No line holds what
a caller sent beyond the method, a request id that was checked, and a trace id that was checked.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import msgspec

#: What granian is to do with its own messages: hand them to the root logger, as others do.
GRANIAN = {
    "loggers": {
        "_granian": {"handlers": [], "level": "ERROR", "propagate": True},
        "granian.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    }
}

# A library's message may be of any length.
_MOST_CHARACTERS = 8192

_access = logging.getLogger("lince.access")
_of_request: ContextVar[Mapping[str, str] | None] = ContextVar("of_request", default=None)


def set_up(level: str) -> None:
    """Sends all that is logged, warned or raised in vain to standard output, as lines of JSON.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Debugging, it tells what stands in pictures' metadata: places and names.
    logging.getLogger("PIL").setLevel(logging.WARNING)
    # Pillow's remarks on odd pictures: the answer says what is wrong with them.
    warnings.filterwarnings("ignore", module="PIL")
    logging.captureWarnings(True)
    # No line tells of threads, processes or places in the source, so they need not be looked up
    # for every one: the switches of Python's logging cookbook, "Optimization".
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )
    # gRPC's core writes text to standard error by itself; each failure of a call is told anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class JsonLines(logging.Formatter):
    """Makes one line of JSON of a record; `extra={"fields": {…}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_MOST_CHARACTERS],
            **(_of_request.get() or {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def begin_request(**members: str) -> None:
    """Says what every line of this thread is to have until `end_request`."""
    _of_request.set(members)


def end_request() -> None:
    _of_request.set(None)


def access(fields: Mapping[str, Any], code: int, share: float) -> None:
    """Logs an answered request.

    Args:
        fields: members of the line.
        code: HTTP status; a failure of the gateway's own, 500 and above, is a warning.
        share: of the requests that get a line; failures always do.
    """
    failed = code >= 500
    if failed or share >= 1 or random.random() < share:  # noqa: S311 - a sample, no secret
        level = logging.WARNING if failed else logging.INFO
        _access.log(level, "answered", extra={"fields": fields})


def _encode(line: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except UnicodeError:  # text that is not Unicode: half a surrogate pair, a file name's bytes
        return json.dumps(line, default=repr)


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger("lince").critical("uncaught", exc_info=(kind, error, traceback))
