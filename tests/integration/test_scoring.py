"""Batch scoring as processes: killed, refused, without a server, over a million inputs."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from client.scoring.contents import InMemory, LocalFile
from client.scoring.decoding import Decoders
from client.scoring.transport import Failed
from contract.pixels import PixelSpec
from server.ports import free_port
from tests.client.scoring.fake_gateway import FakeGateway, serving
from tests.integration.processes import (
    LINCE,
    Running,
    answers,
    children,
    environment,
    run,
    started,
    wait_until,
)
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving(FakeGateway()) as fake:
        yield fake


def pictures(folder: Path, count: int) -> Path:
    """As many inputs, each another, some of them broken."""
    for number in range(count):
        path = folder / f"{number % 10}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bad" if number % 97 == 5 else b"%d" % number)
    return folder


def command(source: Path | str, out: Path, url: str, *more: str) -> list[str]:
    given = ["--out", str(out), "--gateway", url, "--model", "pets", *more]
    return [*LINCE, "score", str(source), *given]


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def lines_of(journal: Path) -> int:
    try:
        return (journal / "rows.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(
    ("count", "kills", "suffix"),
    [
        (2000, 8, ".parquet"),
        pytest.param(20_000, 100, ".jsonl", marks=pytest.mark.slow),
    ],
)
def test_kills_lose_nothing_and_double_nothing(
    tmp_path: Path, fake: FakeGateway, count: int, kills: int, suffix: str
) -> None:
    source = pictures(tmp_path / "in", count)
    once, killed = tmp_path / f"once{suffix}", tmp_path / f"killed{suffix}"
    assert run(*command(source, once, fake.url)[3:]).returncode == 4
    chance, scored = random.Random(1), fake.images
    # So slow that the run outlives the kills; a start takes about half a second.
    fake.delay = 0.25
    for _ in range(kills):
        with started(command(source, killed, fake.url), tmp_path / "log") as process:
            time.sleep(chance.uniform(0.2, 1.4))
            assert process.process.poll() is None, process.output()
            process.process.kill()
    assert not killed.exists()
    assert lines_of(tmp_path / f"killed{suffix}.partial") > 0
    fake.delay = 0.0
    done = run(*command(source, killed, fake.url)[3:])
    assert done.returncode == 4, done.stderr
    assert killed.read_bytes() == once.read_bytes()
    # What was in flight at a kill is scored again; not everything is.
    assert fake.images - scored < count + kills * 32 * 16
    assert {path.name for path in tmp_path.iterdir() if "killed" in path.name} == {
        killed.name,
        f"{killed.name}.summary.json",
    }


def test_kills_of_a_run_that_decodes_itself(tmp_path: Path) -> None:
    source, manifest = tmp_path / "in", make_manifest()
    source.mkdir()
    for number in range(300):
        (source / f"{number:03}.png").write_bytes(picture(seed=number))
    server = FakeModelServer({"pets": {1: manifest}})
    with running(server):
        url = f"grpc://{server.address}"
        once, killed = tmp_path / "once.jsonl", tmp_path / "killed.jsonl"
        assert run(*command(source, once, url)[3:]).returncode == 0
        server.delay = 0.5
        words = command(source, killed, url, "--concurrency", "2", "--processes", "2")
        for lines in (1, 100):
            with started(words, tmp_path / "log") as process:
                wait_until_rows(tmp_path / "killed.jsonl.partial", lines, process)
                below = children(process.process.pid)
                assert below
                process.process.kill()
            for child in below:
                wait_until(partial(gone, child), "the decoders' end")
        server.delay = 0.0
        assert run(*words[3:]).returncode == 0
    assert killed.read_bytes() == once.read_bytes()


def wait_until_rows(journal: Path, count: int, process: Running) -> None:
    wait_until(lambda: lines_of(journal) >= count, "rows", process)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(tmp_path: Path, fake: FakeGateway, number: int) -> None:
    source, out = pictures(tmp_path / "in", 500), tmp_path / "out.jsonl"
    fake.delay = 0.3
    with started(command(source, out, fake.url), tmp_path / "log") as process:
        wait_until_rows(tmp_path / "out.jsonl.partial", 1, process)
        assert process.stop(number) == 130
        assert "the same command continues" in process.output()
        assert "Traceback" not in process.output()
    fake.delay = 0.0
    assert run(*command(source, out, fake.url)[3:]).returncode == 4
    assert [row["index"] for row in rows(out)] == list(range(500))


@pytest.mark.parametrize("gap", [0.01, 0.1])
def test_a_second_ctrl_c_ends_at_once_and_loses_nothing(tmp_path: Path, gap: float) -> None:
    source, out = tmp_path / "in", tmp_path / "out.jsonl"
    source.mkdir()
    for number in range(200):
        (source / f"{number:03}.png").write_bytes(picture(seed=number))
    server = FakeModelServer({"pets": {1: make_manifest()}}, delay=0.5)
    with running(server):
        words = command(source, out, f"grpc://{server.address}", "--processes", "1")
        with started(words, tmp_path / "log") as process:
            wait_until_rows(tmp_path / "out.jsonl.partial", 1, process)
            process.process.send_signal(signal.SIGINT)
            time.sleep(gap)
            assert process.stop(signal.SIGINT) in (130, -signal.SIGINT)
            assert "Traceback" not in process.output()
        server.delay = 0.0
        assert run(*words[3:]).returncode == 0
    assert [row["index"] for row in rows(out)] == list(range(200))


def test_a_storm_of_429(tmp_path: Path, fake: FakeGateway) -> None:
    source, out = pictures(tmp_path / "in", 1500), tmp_path / "out.jsonl"
    fake.delay, fake.most = 0.01, 32
    fake.refuse = [429] * 20
    assert run(*command(source, out, fake.url)[3:]).returncode == 4
    assert fake.refused >= 20
    errors = {row["error"] for row in rows(out) if "error" in row}
    assert errors == {"broken-image: the fake says so"}
    assert len(rows(out)) == 1500


def test_a_gateway_that_restarts_with_another_version(tmp_path: Path) -> None:
    source, out = pictures(tmp_path / "in", 1000), tmp_path / "out.jsonl"
    fake = FakeGateway(delay=0.1)
    with ExitStack() as stack:
        with serving(fake):
            process = stack.enter_context(started(command(source, out, fake.url), tmp_path / "log"))
            wait_until_rows(tmp_path / "out.jsonl.partial", 1, process)
        fake.versions, fake.delay = [1, 2], 0.0
        time.sleep(1)
        with serving(fake):
            assert process.process.wait(60) == 4, process.output()
    assert [row["index"] for row in rows(out)] == list(range(1000))
    assert {row["version"] for row in rows(out) if "version" in row} == {"1"}


def test_shards_are_merged(tmp_path: Path, fake: FakeGateway) -> None:
    source, whole = pictures(tmp_path / "in", 200), tmp_path / "whole.csv"
    run(*command(source, whole, fake.url)[3:])
    part = tmp_path / "part-{shard}.csv"
    for number in range(3):
        words = command(source, part, fake.url, "--shards", "3")[3:]
        done = run(*words, JOB_COMPLETION_INDEX=str(number))
        assert done.returncode in (0, 4), done.stderr
        again = run(*words, "--skip-finished", JOB_COMPLETION_INDEX=str(number))
        assert again.returncode == done.returncode
    parts = [str(tmp_path / f"part-{number}-of-3.csv") for number in range(3)]
    out = tmp_path / "out.csv"
    merged = run("score", "--merge", str(out), "--json", *parts)
    assert merged.returncode == 4, merged.stderr
    assert json.loads(merged.stdout)["rows"] == 200
    assert out.read_bytes() == whole.read_bytes()
    missing = run("score", "--merge", str(tmp_path / "b.csv"), *parts[:2])
    assert (missing.returncode, "missing: 2" in missing.stderr) == (1, True)


def test_what_is_told_and_how_it_ends(tmp_path: Path, fake: FakeGateway) -> None:
    source, out = pictures(tmp_path / "in", 50), tmp_path / "out.jsonl"
    done = run(*command(source, out, fake.url, "--labels-from-folders")[3:])
    assert done.returncode == 4
    assert "50 pictures, 1 with an error, model pets, version 1" in done.stderr
    assert "accuracy 0.0000" in done.stderr
    assert "true label" in done.stderr
    quiet = run(*command(source, tmp_path / "b.csv", fake.url, "--quiet")[3:])
    assert (quiet.stdout, quiet.stderr) == ("", "")
    told = run(*command(source / "0", tmp_path / "c.csv", fake.url, "--json")[3:])
    assert told.returncode == 0
    assert json.loads(told.stdout)["errors"] == 0
    limited = run(*command(source, tmp_path / "d.csv", fake.url, "--max-errors", "0")[3:])
    assert (limited.returncode, "--max-errors" in limited.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--shard", "2/2"), 2, "I/N"),
        (("--shard", "x"), 2, "I/N"),
        (("--shards", "2"), 2, "JOB_COMPLETION_INDEX"),
        (("--shard", "0/2", "--shards", "2"), 2, "one of them"),
        (("--version", "1", "--any-version"), 2, "contradict"),
        (("--gateway", "grpc://127.0.0.1:1"), 2, "--model"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], code: int, text: str) -> None:
    done = subprocess.run(
        [*LINCE, "score", str(tmp_path), "--out", "x.jsonl", *words],
        env=environment(LINCE_GATEWAY="http://127.0.0.1:1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []


class Deadly(LocalFile):
    """Kills the process that reads it."""

    def read(self) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""


def test_a_decoder_that_dies_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    good, spec = LocalFile(str(tmp_path / "a.png")), PixelSpec(height=8, width=8, channels=3)
    decoders = Decoders(2)
    decoded = decoders.decode([good, Deadly("x"), good, InMemory(b"no")], spec)
    assert decoded.places == [0, 2]
    assert decoded.pixels is not None
    assert decoded.pixels.shape == (2, 8, 8, 3)
    assert decoded.wrong[1] == Failed("the decoder's process died of it")
    assert isinstance(decoded.wrong[3], Failed)
    assert decoders.decode([good], spec).places == [0]
    decoders.close()


MEMORY = """
import re, sys
from pathlib import Path
from client.scoring import Job, Parameters, score
from tests.client.scoring.fake_transport import FakeTransport

class Transport(FakeTransport):
    def answer(self, contents, version):
        outcomes = super().answer(contents, version)
        self.asked.clear()
        self.batches.clear()
        return outcomes

listed, out = sys.argv[1:]
parameters = Parameters(sources=(listed,), model="pets")
summary = score(Job(parameters=parameters, out=Path(out)), Transport(batch=16))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(summary.rows, peak[1])
"""


@pytest.mark.slow
def test_memory_stays_flat_over_a_million_inputs(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", 5)
    files = [str(path) for path in sorted(source.rglob("*.png"))]
    peaks = {}
    for count in (10_000, 1_000_000):
        listed = tmp_path / f"{count}.txt"
        with listed.open("w") as file:
            file.writelines(f"{files[number % len(files)]}\n" for number in range(count))
        words = [sys.executable, "-c", MEMORY, str(listed), str(tmp_path / f"{count}.parquet")]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        rows, peak = map(int, done.stdout.split())
        assert rows == count
        peaks[count] = peak
    assert peaks[1_000_000] <= 1.2 * peaks[10_000], peaks


def test_pictures_of_the_web(tmp_path: Path, fake: FakeGateway) -> None:
    source, out = pictures(tmp_path / "in", 20), tmp_path / "out.jsonl"
    port = free_port()
    web = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    web += ["--directory", str(source)]
    address = f"http://127.0.0.1:{port}"
    (source / "list.txt").write_text(f"{address}/0/000000.png\n{address}/nothing.png\n")
    subprocess.run(["tar", "-cf", "in.tar", "0", "1"], cwd=source, check=True)
    with started(web, tmp_path / "web.log") as server:
        wait_until(lambda: answers(address), "the web server", server)
        words = command(f"{address}/list.txt", out, fake.url, f"{address}/in.tar")
        done = run(*words[3:])
    assert done.returncode == 4, done.stderr
    assert [row["path"].removeprefix(address) for row in rows(out)][:2] == [
        "/0/000000.png",
        "/nothing.png",
    ]
    assert ["error" in row for row in rows(out)] == [False, True, *[False] * 4]
