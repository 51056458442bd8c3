"""A run: each input once, in order, whatever happens in between."""

import errno
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from client.scoring import Shard, score
from client.scoring.contents import StorageAwayError
from client.scoring.errors import (
    OutputError,
    PatienceError,
    RefusedError,
    SourceError,
    TooManyErrorsError,
    VersionGoneError,
)
from client.scoring.items import Found
from client.scoring.transport import AwayError, BusyError
from tests.client.scoring.fake_transport import QUICK, FakeTransport, in_memory, job


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def labels(out: Path) -> list[str | None]:
    return [row.get("label") for row in rows(out)]


def stop_at(number: int, error: type[BaseException] = RefusedError) -> FakeTransport:
    """A transport that ends the run at its n-th call."""

    def before(call: int) -> None:
        if call == number:
            raise error("the end")

    return FakeTransport(before=before)


def test_rows_are_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    contents = [b"%d" % n for n in range(50)]
    contents[10] = b"bad"
    out = tmp_path / "out.jsonl"
    summary = score(job(out, contents), FakeTransport())
    assert (summary.inputs, summary.rows, summary.errors, summary.version) == (50, 50, 1, 1)
    assert [row["index"] for row in rows(out)] == list(range(50))
    assert labels(out) == [None if n == 10 else str(n) for n in range(50)]
    assert rows(out)[10] == {"index": 10, "path": "in/10.png", "error": "a bad picture"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        out.name,
        out.name + ".summary.json",
    ]


def test_no_inputs_are_a_complete_output(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert score(job(out, []), FakeTransport()).rows == 0
    assert out.read_text() == ""


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("call", [1, 2, 3, 5])
def test_a_run_that_stopped_goes_on(tmp_path: Path, suffix: str, call: int) -> None:
    once, twice = tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}"
    score(job(once, concurrency=1), FakeTransport())
    with pytest.raises(RefusedError):
        score(job(twice, concurrency=1), stop_at(call))
    assert not twice.exists()
    again = FakeTransport()
    score(job(twice, concurrency=1), again)
    assert once.read_bytes() == twice.read_bytes()
    assert len(again.asked) == 20 - 4 * (call - 1)


@pytest.mark.parametrize(
    "tail", [b'{"index":8,"pa', b'{"index":8,"path":"in/8.png"}', b"\0" * 100, b"\xff\n", b"{}\n"]
)
def test_a_torn_last_line_is_scored_again(tmp_path: Path, tail: bytes) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(RefusedError):
        score(job(out, concurrency=1), stop_at(3))
    with (tmp_path / "out.jsonl.partial/rows.jsonl").open("ab") as file:
        file.write(tail)
    score(job(out, concurrency=1), FakeTransport())
    assert labels(out) == [str(n) for n in range(20)]


def test_a_full_disk_stops_a_run_that_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, left = tmp_path / "out.jsonl", os.write, [700]

    def full(descriptor: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        data = data[: left[0]]
        left[0] -= len(data)
        return write(descriptor, data)

    monkeypatch.setattr("client.scoring.journal.os.write", full)
    with pytest.raises(OSError, match="No space left"):
        score(job(out), FakeTransport())
    monkeypatch.undo()
    assert not out.exists()
    again = FakeTransport()
    score(job(out), again)
    assert labels(out) == [str(n) for n in range(20)]
    assert len(again.asked) < 20


def test_a_full_disk_while_the_output_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("client.scoring.outputs.write", full)
    with pytest.raises(OSError, match="No space left"):
        score(job(out), FakeTransport())
    monkeypatch.undo()
    assert not out.exists()
    again = FakeTransport()
    assert score(job(out), again).rows == 20
    assert again.asked == []


def test_a_finished_output_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    score(job(out), FakeTransport())
    before, again = out.read_bytes(), FakeTransport()
    with pytest.raises(OutputError, match="--overwrite"):
        score(job(out), again)
    assert score(job(out, skip_finished=True), again).rows == 20
    with pytest.raises(OutputError, match="--overwrite"):
        score(job(out, skip_finished=True, parameters={"top_k": 1}), again)
    assert (out.read_bytes(), again.asked) == (before, [])
    score(job(out, [b"new"], overwrite=True), again)
    assert labels(out) == ["new"]


def test_another_command_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(RefusedError):
        score(job(out, concurrency=1), stop_at(3))
    for other in ({"model": "cars"}, {"sources": ("there",)}, {"version": 1}, {"top_k": 2}):
        with pytest.raises(OutputError, match=f"another command.*{next(iter(other))} was"):
            score(job(out, parameters=other), FakeTransport())
    summary = score(job(out, overwrite=True, parameters={"top_k": 2}), FakeTransport())
    assert summary.parameters.top_k == 2


def test_changed_sources_are_told(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(RefusedError):
        score(job(out, concurrency=1), stop_at(3))
    other = in_memory([b"%d" % n for n in range(20)])[1:]
    with pytest.raises(SourceError, match=r"input 0 was in/0\.png .* is in/1\.png now"):
        score(job(out, found=lambda: other), FakeTransport())
    with pytest.raises(SourceError, match="is nothing now"):
        score(job(out, [b"0", b"1"]), FakeTransport())


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    inside, go = threading.Event(), threading.Event()

    def before(_: int) -> None:
        inside.set()
        go.wait(30)

    first = threading.Thread(target=score, args=(job(out), FakeTransport(before=before)))
    first.start()
    assert inside.wait(30)
    with pytest.raises(OutputError, match="another process"):
        score(job(out), FakeTransport())
    go.set()
    first.join()
    assert len(labels(out)) == 20


def test_the_first_version_answers_to_the_end(tmp_path: Path) -> None:
    transport = FakeTransport(versions=[3])

    def change(_: int) -> None:
        transport.versions = [3, 4]

    transport.before = change
    out = tmp_path / "out.jsonl"
    assert score(job(out), transport).version == 3
    assert {row["version"] for row in rows(out)} == {"3"}


def test_a_version_that_vanishes_ends_the_run_until_it_is_back(tmp_path: Path) -> None:
    transport = FakeTransport(versions=[3])

    def change(call: int) -> None:
        if call == 3:
            transport.versions = [4]

    transport.before = change
    out = tmp_path / "out.jsonl"
    with pytest.raises(VersionGoneError, match="version 3 of model pets"):
        score(job(out, concurrency=1), transport)
    with pytest.raises(VersionGoneError):
        score(job(out), FakeTransport(versions=[4]))
    score(job(out), FakeTransport(versions=[3, 4]))
    assert {row["version"] for row in rows(out)} == {"3"}


def test_any_version(tmp_path: Path) -> None:
    transport = FakeTransport(versions=[3])

    def change(call: int) -> None:
        if call == 3:
            transport.versions = [4]

    transport.before = change
    out = tmp_path / "out.jsonl"
    job_ = job(out, concurrency=1, parameters={"any_version": True})
    assert score(job_, transport).version is None
    assert [row["version"] for row in rows(out)] == ["3"] * 8 + ["4"] * 12


def test_storms_and_outages_lose_nothing(tmp_path: Path) -> None:
    errors = [BusyError("429"), AwayError("refused"), BusyError("429")] * 20
    out = tmp_path / "out.jsonl"
    assert score(job(out), FakeTransport(errors=errors)).errors == 0
    assert labels(out) == [str(n) for n in range(20)]


def test_a_server_that_says_when_to_come_back(tmp_path: Path) -> None:
    began = time.monotonic()
    errors: list[Exception] = [BusyError("429", 0.2)]
    score(job(tmp_path / "a.jsonl", concurrency=1), FakeTransport(errors=errors))
    assert time.monotonic() - began >= 0.2
    # Longer than there is patience for: it is waited for as long as that.
    always: list[Exception] = [BusyError("429", 9999)] * 99
    waits = replace(QUICK, patience=0.1)
    with pytest.raises(PatienceError, match="429"):
        score(job(tmp_path / "b.jsonl", waits=waits), FakeTransport(errors=always))


def test_a_server_that_stays_away_ends_the_run(tmp_path: Path) -> None:
    from client.scoring.patience import Waits

    waits = Waits(first=0.001, longest=0.002, patience=0.05)
    out = tmp_path / "out.jsonl"
    transport = FakeTransport()
    transport.before = lambda call: transport.errors.extend(
        [AwayError("refused")] * (call == 2) * 9999
    )
    with pytest.raises(PatienceError, match="refused"):
        score(job(out, concurrency=1, waits=waits), transport)
    score(job(out, waits=waits), FakeTransport())
    assert labels(out) == [str(n) for n in range(20)]
    with pytest.raises(PatienceError, match="no server"):
        score(job(tmp_path / "b.jsonl", waits=waits), FakeTransport(versions=[]))
    assert not (tmp_path / "b.jsonl.partial").exists()


def test_a_picture_that_kills_the_server_is_a_row(tmp_path: Path) -> None:
    contents = [b"%d" % n for n in range(20)]
    contents[7] = b"kill"
    out = tmp_path / "out.jsonl"
    assert score(job(out, contents), FakeTransport()).errors == 1
    assert rows(out)[7]["error"] == "the connection broke"
    alone = tmp_path / "alone.jsonl"
    assert score(job(alone, [b"kill"]), FakeTransport()).errors == 1


class Flaky:
    """A content of a storage that is away for the first few reads, or always."""

    storage, local = "s3://bucket", False

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def read(self) -> bytes:
        if self.failures:
            self.failures -= 1
            raise StorageAwayError("a timeout")
        return b"read"


def test_a_storage_that_comes_back_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    found = [Found(f"s3://bucket/{n}.png", Flaky(2)) for n in range(10)]
    assert score(job(out, found=lambda: found), FakeTransport()).errors == 0
    found.append(Found("s3://bucket/x.png", Flaky(9999)))
    always = tmp_path / "always.jsonl"
    assert score(job(always, found=lambda: found), FakeTransport()).errors == 1
    assert rows(always)[-1]["error"] == "a timeout"


def test_too_many_errors(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    contents = [b"bad" if n % 2 else b"%d" % n for n in range(20)]
    with pytest.raises(TooManyErrorsError, match="--max-errors"):
        score(job(out, contents, max_errors=4), FakeTransport())
    assert not out.exists()
    assert score(job(out, contents, max_errors=10), FakeTransport()).errors == 10


@pytest.mark.parametrize("of", [1, 2, 3, 7, 30])
def test_shards_are_disjoint_and_complete(tmp_path: Path, of: int) -> None:
    found: list[int] = []
    for number in range(of):
        out = tmp_path / f"{number}.jsonl"
        summary = score(job(out, parameters={"shard": Shard(number, of)}), FakeTransport())
        assert summary.inputs == 20
        found += [row["index"] for row in rows(out)]
    assert sorted(found) == list(range(20))


def test_accuracy_and_confusion(tmp_path: Path) -> None:
    found = [*in_memory([b"cat", b"cat", b"dog", b"bad"], "p/cat"), *in_memory([b"dog"], "p/dog")]
    out = tmp_path / "out.jsonl"
    parameters = {"labels_from_folders": True}
    summary = score(job(out, found=lambda: found, parameters=parameters), FakeTransport())
    assert summary.accuracy == 0.75
    assert summary.confusion == {"cat": {"cat": 2, "dog": 1}, "dog": {"dog": 1}}
    assert [row["true_label"] for row in rows(out)] == ["cat"] * 4 + ["dog"]


def test_accuracy_counts_the_rows_of_before(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    given = {"parameters": {"labels_from_folders": True}, "concurrency": 1}
    with pytest.raises(RefusedError):
        score(job(out, [b"in"] * 20, **given), stop_at(4))
    assert score(job(out, [b"in"] * 20, **given), FakeTransport()).confusion == {"in": {"in": 20}}


@pytest.mark.parametrize("name", ["out.json", "out", "nowhere/out.jsonl", "folder.jsonl"])
def test_an_output_that_can_not_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(OutputError):
        score(job(tmp_path / name), FakeTransport())


def test_ctrl_c_leaves_what_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        score(job(out, concurrency=1), stop_at(3, KeyboardInterrupt))
    score(job(out), FakeTransport())
    assert labels(out) == [str(n) for n in range(20)]
