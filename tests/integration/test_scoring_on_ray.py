"""Scoring on a Ray cluster of this machine: killed and started again, it is the same output."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import environment, run, started, wait_until
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "score_on_ray.py"


@pytest.fixture
def ray() -> Iterator[dict[str, str]]:
    """The variables of a Ray that keeps to itself."""
    if importlib.util.find_spec("ray") is None:
        if os.environ.get("LINCE_TEST_REQUIRE") == "all":
            pytest.fail("ray is missing, and LINCE_TEST_REQUIRE=all allows no skip")
        pytest.skip("needs ray: pip install 'lince[ray]'")
    # Short: Ray has sockets in it, whose paths may have 107 bytes.
    folder = tempfile.mkdtemp(prefix="ray-")
    yield {
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_gcs_server_port_wait_time_s": "120",
    }
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(600):
        data = b"bad" if number % 97 == 5 else picture(seed=number)
        (folder / f"{number:03}.png").write_bytes(data)
    return folder


def lines(journal: Path) -> int:
    rows = journal / "rows.jsonl"
    return rows.read_bytes().count(b"\n") if rows.exists() else 0


def test_it_is_killed_and_goes_on(tmp_path: Path, pictures: Path, ray: dict[str, str]) -> None:
    once, killed = tmp_path / "once.jsonl", tmp_path / "killed.jsonl"
    server = FakeModelServer({"pets": {1: make_manifest()}})
    with running(server):
        address = f"grpc://{server.address}"
        words = ("score", str(pictures), "--out", str(once), "--model", "pets", "--top-k", "3")
        assert run(*words, "--gateway", address).returncode == 4
        command = [sys.executable, str(EXAMPLE), str(pictures), "pets", str(killed), server.address]
        server.delay = 2.0
        with started(command, tmp_path / "log", **ray) as process:
            wait_until(lambda: lines(tmp_path / "killed.jsonl.partial"), "rows", process)
            process.process.kill()
        server.delay, before = 0.0, len(server.calls)
        assert 0 < lines(tmp_path / "killed.jsonl.partial") < 600
        done = subprocess.run(command, env=environment(**ray), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "600 rows, 7 with an error, version 1"
        assert len(server.calls) > before
    assert killed.read_bytes() == once.read_bytes()


def test_what_ends_a_run_is_told_as_everywhere(
    tmp_path: Path, pictures: Path, ray: dict[str, str]
) -> None:
    server = FakeModelServer({"pets": {1: make_manifest()}})
    out = tmp_path / "out.jsonl"
    text = f"""
from functools import partial
from pathlib import Path
from client.scoring import Job, Parameters, on_ray
from client.scoring.over_grpc import OverGrpc
from client.scoring.patience import Waits

class Ends(OverGrpc):
    def answer(self, contents, version):
        return super().answer(contents, 2)

parameters = Parameters(sources=({str(pictures)!r},), transport="grpc", model="pets")
job = Job(parameters=parameters, out=Path({str(out)!r}), waits=Waits(gone=0.1))
on_ray.score(job, partial(Ends, {{address!r}}, "pets"), actors=1)
"""
    with running(server):
        words = [sys.executable, "-c", text.format(address=server.address)]
        done = subprocess.run(words, env=environment(**ray), capture_output=True, text=True)
    assert done.returncode == 1
    assert "client.scoring.errors.VersionGoneError: version 1 of model pets" in done.stderr
    assert not out.exists()
