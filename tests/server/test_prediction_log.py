"""The prediction log: whole lines, whoever writes and whatever happens to the file."""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from server.prediction_log import Prediction, PredictionLog
from tests.server.figures import Growth
from tests.server.records import records_of


def prediction(request_id: str = "r", image: bytes = b"image", top: int = 1) -> Prediction:
    return Prediction(
        request_id=request_id,
        model="pets",
        version=3,
        image=image,
        format="PNG",
        width=4,
        height=5,
        label="owl",
        probability=0.75,
        top_k=[("owl", 0.75)] * top,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line(tmp_path: Path) -> None:
    path = tmp_path / "made" / "predictions.jsonl"
    log = PredictionLog(path, 1.0, clock=lambda: 1234.5678)
    written = Growth("lince_prediction_log_records_total", outcome="written")
    log.write([prediction("r-1")])
    log.close()
    assert lines(path) == [
        {
            "time": 1234.568,
            "request_id": "r-1",
            "model": "pets",
            "version": "3",
            "sha256": hashlib.sha256(b"image").hexdigest(),
            "bytes": 5,
            "width": 4,
            "height": 5,
            "format": "PNG",
            "label": "owl",
            "probability": 0.75,
            "top_k": [{"label": "owl", "probability": 0.75}],
        }
    ]
    assert written() == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]  # no image is kept


def test_the_share_is_of_requests(tmp_path: Path) -> None:
    chances = iter([0.0, 0.24, 0.25, 0.9])
    log = PredictionLog(tmp_path / "log", 0.25, chance=lambda: next(chances))
    assert [log.chosen() for _ in range(4)] == [True, True, False, False]
    assert not PredictionLog(tmp_path / "log", 0.0, chance=lambda: 0.0).chosen()
    assert PredictionLog(tmp_path / "log", 1.0, chance=lambda: 0.9999).chosen()


def test_a_moved_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = PredictionLog(path, 1.0)
    log.write([prediction("before")])
    path.rename(tmp_path / "log.1")
    log.write([prediction("after")])
    path.unlink()
    log.write([prediction("at last")])
    log.close()
    assert [line["request_id"] for line in lines(tmp_path / "log.1")] == ["before"]
    assert [line["request_id"] for line in lines(path)] == ["at last"]


def test_a_truncated_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = PredictionLog(path, 1.0)
    log.write([prediction("before")])
    os.truncate(path, 0)  # logrotate's copytruncate
    log.write([prediction("after")])
    log.close()
    assert [line["request_id"] for line in lines(path)] == ["after"]


def test_images_are_kept_only_if_asked(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    log = PredictionLog(tmp_path / "log", 1.0, images=folder)
    log.write([prediction(image=b"one"), prediction(image=b"two"), prediction(image=b"one")])
    log.close()
    kept = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert kept == {hashlib.sha256(image).hexdigest(): image for image in (b"one", b"two")}
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(Path("/dev/full"), 1.0)
    failed = Growth("lince_prediction_log_records_total", outcome="failed")
    log.write([prediction(), prediction()])
    log.close()
    assert failed() == 2
    assert len(records_of(caplog, "server.prediction_log")) == 1
    assert "LINCE_PREDICTION_LOG" in caplog.text


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    log = PredictionLog(path, 1.0)
    log.write([prediction("before")])
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: whole(file, data[:7]))
        log.write([prediction("half")])
    log.write([prediction("after")])
    log.close()
    assert [line["request_id"] for line in lines(path)] == ["before", "after"]


def test_what_a_crash_left_stays_on_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"half')
    log = PredictionLog(path, 1.0)
    log.write([prediction("after")])
    log.close()
    half, line = path.read_text().splitlines()
    assert half == '{"half'
    assert json.loads(line)["request_id"] == "after"


def test_a_folder_that_can_not_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    log = PredictionLog(tmp_path / "file" / "log", 1.0)
    log.write([prediction()])
    log.write([prediction()])
    assert len(records_of(caplog, "server.prediction_log")) == 1


def test_it_complains_anew_after_it_worked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(tmp_path / "log", 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        log.write([prediction()])
    log.write([prediction()])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        log.write([prediction()])
    log.close()
    assert len(records_of(caplog, "server.prediction_log")) == 2


def _full(_file: int, _data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
