"""Programs of the machine that some tests need."""

import os
import shutil

import pytest


def require(name: str) -> str:
    """Returns the path of a program; skips the test where it is missing, by name.

    With LINCE_TEST_REQUIRE=all, as in CI, a missing program is a failure.
    """
    path = shutil.which(name)
    if path is None:
        if os.environ.get("LINCE_TEST_REQUIRE") == "all":
            pytest.fail(f"{name} is missing, and LINCE_TEST_REQUIRE=all allows no skip")
        pytest.skip(f"needs the program {name}")
    return path
