"""Requests made up from the gateway's own description: each answer is one that it describes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import environment, gateway
from tests.manifests import make_explainable
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration

HOOKS = Path(__file__).parent / "api_hooks.py"
CHECKS = (
    "no_failure_of_the_gateway",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
FLAGS = (
    "--phases=examples,coverage,fuzzing",
    f"--checks={','.join(CHECKS)}",
    "--continue-on-failure",
    # Two make up requests no faster, and Python 3.11's parser, which is used for it, is not safe.
    "--workers=1",
    "--seed=1",
    "--generation-database=none",
    "--suppress-health-check=all",
    "--warnings=off",
    "--no-color",
)


def cases(scratch: Path, examples: int) -> int:
    """Runs schemathesis against a gateway, fails where it finds anything; returns its cases."""
    fake = FakeModelServer({"pets": {1: make_explainable()}}, labels={"pets": {"stable": 1}})
    with running(fake), gateway(["pets"], fake.address, scratch) as (process, url):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *(f"--max-examples={examples}", f"--report-dir={scratch / 'reports'}", *FLAGS),
            ],
            env=environment(SCHEMATHESIS_HOOKS=str(HOOKS)),
            cwd=scratch,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
        failed = [line for line in process.output().splitlines() if _is_failure(line)]
        assert not failed, failed[:3]
    found = re.search(r"([\d,]+) generated", done.stdout)
    assert found, done.stdout[-2_000:]
    return int(found[1].replace(",", ""))


def _is_failure(line: str) -> bool:
    """Whether a line of the gateway's log tells of an answer of 500, or is no line of its own."""
    try:
        return json.loads(line).get("status") == 500
    except ValueError:
        return "Traceback" in line


def test_what_the_description_allows(tmp_path: Path) -> None:
    assert cases(tmp_path, 15) >= 1_000


@pytest.mark.slow
def test_ten_thousand_requests(tmp_path: Path) -> None:
    assert cases(tmp_path, 600) >= 10_000
