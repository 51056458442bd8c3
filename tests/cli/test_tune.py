"""What `lince tune` shows and writes of an outcome."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lince
from lince import tune
from server.tuning.callers import Load
from server.tuning.candidate import Candidate
from server.tuning.search import Outcome, Record, Records

GOOD, BAD, BROKEN = Candidate(0, 8, 2), Candidate(1000, 16, 2), Candidate(5000, 32, 2)
LOAD, ALONE = Load(120.0, 60.0, 90.0), Load(40.0, 25.0, 30.0)
RECORDS: Records = {
    BROKEN: Record(error="UNAVAILABLE: the queue is full"),
    BAD: Record([LOAD] * 3, [0.9, 0.8, 1.1], [ALONE]),
    GOOD: Record([LOAD] * 3, [1.2, 1.3, 1.4], [ALONE]),
    None: Record([LOAD] * 3, [1.0, 1.0, 1.0], [ALONE]),
}
PAYS = Outcome(GOOD, "1.30 times as good", RECORDS)
DOES_NOT = Outcome(None, "the best of them is as good", RECORDS)


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LINCE_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("LINCE_MAX_BATCH", "48")
    (folder := tmp_path / "pets" / "2").mkdir(parents=True)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, outcome: Outcome, *more: str) -> Result:
    monkeypatch.setattr(tune, "_search", lambda *_: outcome)
    result = CliRunner().invoke(lince.cli, ["tune", "pets", *more])
    assert result.exit_code == 0, result.output
    return result


def test_a_choice_is_shown_and_written(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run(monkeypatch, PAYS).stdout.splitlines()
    assert [line[:12] for line in lines[1:5]] == [
        "unbatched   ", "8 rows, no w", "16 rows, wai", "32 rows, wai",
    ]  # fmt: skip
    assert lines[2].split()[-8:] == [
        "120.0",
        "60.0",
        "90.0",
        "25.0",
        "1.30",
        "(1.20",
        "to",
        "1.40)",
    ]
    assert lines[4].endswith("UNAVAILABLE: the queue is full")
    written = version / "batching_params.pbtxt"
    assert lines[-2:] == [f"chosen: {GOOD}: 1.30 times as good", f"written: {written}"]
    assert written.read_text() == GOOD.text(48)


def test_out(version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, PAYS, "--out", str(tmp_path / "params"))
    assert (tmp_path / "params").read_text() == GOOD.text(48)
    assert not list(version.iterdir())


def test_no_choice_leaves_what_is_there(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, DOES_NOT)
    assert result.stdout.endswith("batching doesn't pay: the best of them is as good\n")
    assert not list(version.iterdir())
    (there := version / "batching_params.pbtxt").write_text("max_batch_size { value: 3 }")
    assert f"{there} is there from before" in run(monkeypatch, DOES_NOT).stderr
    assert there.read_text() == "max_batch_size { value: 3 }"


@pytest.mark.parametrize("outcome", [PAYS, DOES_NOT])
def test_json(version: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    told = json.loads(run(monkeypatch, outcome, "--json", "--callers", "7").stdout)
    assert (told["model"], told["version"], told["goal"]["callers"]) == ("pets", 2, 7)
    assert told["chosen"] == (
        {"wait_micros": 0, "rows": 8, "threads": 2} if outcome.chosen else None
    )
    assert told["file"] == (str(version / "batching_params.pbtxt") if outcome.chosen else None)
    off, good, _, broken = told["measured"]
    assert off["parameters"] is None
    assert (good["images_per_second"], good["gains"]) == (120.0, [1.2, 1.3, 1.4])
    assert broken["error"] == "UNAVAILABLE: the queue is full"
