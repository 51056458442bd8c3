"""What a logger of ours has said, whatever other gateways' threads say meanwhile."""

import logging

import pytest


def records_of(caplog: pytest.LogCaptureFixture, name: str) -> list[logging.LogRecord]:
    """Returns the records of one logger, by its name."""
    return [record for record in caplog.records if record.name == name]
