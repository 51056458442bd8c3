"""The log: a line of JSON for each message, whoever it is from."""

import json
import logging
import sys
from typing import Any

import pytest

from server import logs
from tests.server.records import records_of


def line(record: logging.LogRecord) -> dict[str, Any]:
    text = logs.JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def record(message: str, *values: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("lince.x", logging.WARNING, "x.py", 1, message, values, None)
    made.__dict__.update(more)
    return made


def test_a_line() -> None:
    found = line(record("%d of %s", 3, "four", created=12.3456))
    assert found == {
        "time": 12.346,
        "level": "warning",
        "logger": "lince.x",
        "message": "3 of four",
    }


def test_members_beside() -> None:
    assert line(record("m", fields={"status": 200, "odd": object}))["status"] == 200


def test_a_request_s_lines_have_its_ids() -> None:
    logs.begin_request(request_id="r-1", trace_id="t-1")
    within = line(record("m"))
    logs.end_request()
    assert (within["request_id"], within["trace_id"]) == ("r-1", "t-1")
    assert "request_id" not in line(record("m"))


def test_an_exception_is_a_member() -> None:
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        found = line(record("m", exc_info=sys.exc_info()))
    assert "ValueError: of two\nlines" in found["exception"]
    assert "Traceback" in found["exception"]


@pytest.mark.parametrize("message", ["two\nlines", 'a "quote"', "é\udc80", "\x00\x1b[31m"])
def test_any_text_is_one_line(message: str) -> None:
    assert line(record("%s", message))["message"] == message


def test_long_messages_are_cut() -> None:
    assert len(line(record("x" * 100_000))["message"]) == 8192


@pytest.mark.parametrize(
    ("code", "share", "lines"), [(200, 1.0, 1), (200, 0.0, 0), (429, 0.0, 0), (503, 0.0, 1)]
)
def test_access_lines(
    caplog: pytest.LogCaptureFixture, code: int, share: float, lines: int
) -> None:
    with caplog.at_level(logging.INFO):
        logs.access({"status": code}, code, share)
    assert len(records_of(caplog, "lince.access")) == lines


def test_a_share_of_the_access_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            logs.access({}, 200, 0.5)
    assert 300 < len(records_of(caplog, "lince.access")) < 700
