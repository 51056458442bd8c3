"""`lince up`, `run`, `classify` and `score`: the whole system as a user has it."""

import json
import signal
import socket
from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from server.ports import free_port
from tests.integration.processes import (
    LINCE,
    Running,
    children,
    run,
    started,
    wait_until,
)

pytestmark = pytest.mark.integration


def variables(workshop: Path, port: int) -> dict[str, str]:
    return {
        "LINCE_MODELS_DIR": str(workshop / "models"),
        "LINCE_RUNS_DIR": str(workshop / "runs"),
        "LINCE_PORT": str(port),
        "LINCE_GATEWAY": f"http://127.0.0.1:{port}",
    }


def ready(process: Running) -> bool:
    return "ready at http://" in process.output()


def test_run_shows_test_pictures_with_their_labels(
    workshop: Path, digits_run: RunFolder, tmp_path: Path
) -> None:
    settings = variables(workshop, free_port())
    with started((*LINCE, "run"), tmp_path / "run.log", **settings) as process:
        wait_until(lambda: ready(process), "the system", process)
        below = children(process.process.pid)
        assert len(below) == 2
        assert process.stop(signal.SIGINT) == 0
        assert not [child for child in below if Path(f"/proc/{child}").exists()]
    lines = process.output().splitlines()
    shown = [line for line in lines if "true label" in line]
    assert len(shown) == len(digits_run.samples())
    right = sum(line.strip().startswith("✓") for line in shown)
    assert right >= 0.8 * len(shown)
    assert "Traceback" not in process.output()


def test_classify_and_score(workshop: Path, digits_run: RunFolder, tmp_path: Path) -> None:
    settings = variables(workshop, free_port())
    samples = digits_run.samples()
    with started((*LINCE, "up"), tmp_path / "up.log", **settings) as process:
        wait_until(lambda: ready(process), "the system", process)
        shown = run("classify", *(str(sample.file) for sample in samples), **settings)
        assert shown.returncode == 0, shown.stderr
        assert len(shown.stdout.splitlines()) == len(samples)
        bad = tmp_path / "no picture.png"
        bad.write_text("hello")
        mixed = run("classify", "--json", str(bad), str(samples[0].file), **settings)
        assert mixed.returncode == 4
        first, second = map(json.loads, mixed.stdout.splitlines())
        assert "not an image" in first["error"]
        assert second["result"]["label"] in {str(digit) for digit in range(10)}

        (digits_run.folder / "samples" / "zz broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        out = tmp_path / "results.jsonl"
        scored = run("score", str(digits_run.folder / "samples"), "--out", str(out), **settings)
        assert scored.returncode == 4, scored.stderr
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [Path(row["path"]).name for row in rows] == sorted(
            Path(row["path"]).name for row in rows
        )
        assert len(rows) == len(samples) + 1
        assert "error" in rows[-1]
        assert all("label" in row for row in rows[:-1])
        again = run("score", str(digits_run.folder / "samples"), "--out", str(out), **settings)
        assert again.returncode == 1
        assert "--overwrite" in again.stderr


def test_a_port_in_use_is_named(workshop: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", **variables(workshop, port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "LINCE_PORT" in done.stderr


def test_nothing_to_serve(tmp_path: Path) -> None:
    done = run("up", LINCE_MODELS_DIR=str(tmp_path / "models"))
    assert done.returncode == 1
    assert "train and export one" in done.stderr


def test_no_gateway_there(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"x")
    address = f"http://127.0.0.1:{free_port()}"
    done = run("classify", str(picture), "--model", "m", LINCE_GATEWAY=address)
    assert done.returncode == 1
    assert address in done.stderr
    assert "Traceback" not in done.stderr
