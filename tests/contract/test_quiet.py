"""What a process says while it imports a library that talks from native code."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from contract.quiet import quiet_import
with quiet_import():
    os.write(2, b"native talk")
    {then}
os.write(2, b"; afterwards")
"""


def said(level: str | None, then: str = "") -> bytes:
    """The stderr of a process in which a library talks inside the block.

    Args:
        level: TF_CPP_MIN_LOG_LEVEL in its environment.
    """
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    program = PROGRAM.format(then=then)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=False
    )
    return done.stderr


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (None, b"; afterwards"),
        # What a quiet process hands on to the processes that it starts.
        ("3", b"; afterwards"),
        ("2", b"native talk; afterwards"),
        ("0", b"native talk; afterwards"),
    ],
)
def test_hides_unless_the_log_is_asked_for(level: str | None, expected: bytes) -> None:
    assert said(level) == expected


def test_shows_what_was_said_before_an_import_failed() -> None:
    stderr = said(None, then="import no_such_module")
    assert stderr.startswith(b"native talk")
    assert b"ModuleNotFoundError" in stderr
