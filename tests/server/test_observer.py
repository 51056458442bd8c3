"""What is looked at when images were answered."""

import json
from pathlib import Path

import numpy as np
import pytest

from contract import manifest as manifests
from contract.settings import Settings
from server.catalog import Found
from server.classify import Classified
from server.deadline import Deadline
from server.decoding import File
from server.heavy import Heavy
from server.observer import make_observer
from server.problems import NOT_AN_IMAGE, Problem
from server.served import described
from tests.manifests import make_manifest
from tests.server.figures import figure

HEAVY = Heavy(1)


def classified(model: str) -> Classified:
    version = described(model, 2, manifests.encode(make_manifest()))
    file = File("PNG", "RGB", 30, 20, rotated=False)
    pixels = np.zeros((8, 8, 3), np.uint8)
    row = np.array([0.2, 0.1, 0.7], np.float32)
    problem = Problem(NOT_AN_IMAGE, "no image")
    return Classified(
        Found(version, None), [row, problem, row], [file, None, None], [pixels, None, pixels]
    )


def test_files_that_were_answered_are_logged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    observer = make_observer(Settings(prediction_log=path), HEAVY)
    observer.saw(
        [b"file", b"text", np.zeros((8, 8, 3), np.uint8)],
        classified("pets"),
        "r-1",
        Deadline.after(60),
    )
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    assert (line["request_id"], line["model"], line["version"]) == ("r-1", "pets", "2")
    assert (line["label"], line["format"], line["bytes"]) == ("owl", "PNG", 4)
    assert (line["width"], line["height"]) == (30, 20)
    assert [each["label"] for each in line["top_k"]] == ["owl", "cat", "dog"]
    assert line["top_k"][0]["probability"] == line["probability"] == pytest.approx(0.7)


def test_who_is_not_in_the_sample_is_not_logged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    observer = make_observer(Settings(prediction_log=path, prediction_log_share=0.0), HEAVY)
    observer.saw([b"1", b"2", b"3"], classified("pets"), "r-1", Deadline.after(60))
    assert not path.exists()


def test_without_a_reference_nothing_is_compared() -> None:
    make_observer(Settings(), HEAVY).saw(
        [b"1", b"2", b"3"], classified("o-none"), "r-1", Deadline.after(60)
    )
    assert figure("lince_drift_images", model="o-none", version="2") is None


def test_the_window_is_of_all_workers() -> None:
    assert make_observer(Settings(drift_window=2000, workers=3), HEAVY).watch.window == 667
