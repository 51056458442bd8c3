"""Outputs keep all that rows hold, and shards become one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from client.scoring import Parameters, Ranked, Row, Shard, merge, outputs, score
from client.scoring.errors import MergeError, OutputError
from tests.client.scoring.fake_transport import FakeTransport, job

SUFFIXES = [".jsonl", ".csv", ".parquet"]
ROWS = [
    Row(
        index=0,
        path='odd "name",\n\\xff.png',
        label="cat",
        probability=0.1 + 0.2,
        top_k=(Ranked("cat", 0.1 + 0.2), Ranked('d"og', 1e-9)),
        probabilities=(0.5, 0.25),
        model="pets",
        version="12",
        true_label="dog",
    ),
    Row(index=1, path="b.png", error="the data is in no known image format; known are …"),
    Row(index=2, path="", error="no path"),
    Row(index=3, path="a\rb.png", label="the\rlabel", probability=1.0),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    outputs.write(path, suffix, ROWS)
    assert list(outputs.read(path)) == ROWS


def test_row_groups_are_bounded_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_GROUP", 4)
    monkeypatch.setattr(outputs, "_GROUP_NUMBERS", 6)
    path = tmp_path / "out.parquet"
    rows = [Row(index=n, path=f"{n}", probabilities=(0.5,) * (n // 2)) for n in range(12)]
    outputs.write(path, ".parquet", rows)
    assert [row.index for row in outputs.read(path)] == list(range(12))
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [4, 3, 2, 2, 1]


def shards(folder: Path, of: int, suffix: str = ".jsonl", **more: object) -> list[Path]:
    paths = [folder / f"{number}{suffix}" for number in range(of)]
    contents = [b"%d" % n if n % 5 else b"bad" for n in range(23)]
    for number, path in enumerate(paths):
        parameters = {"shard": Shard(number, of), "labels_from_folders": True}
        score(job(path, contents, parameters=parameters, **more), FakeTransport())
    return paths


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_merged_shards_are_the_whole(tmp_path: Path, suffix: str) -> None:
    (whole,) = shards(tmp_path, 1, suffix)
    whole = whole.rename(tmp_path / f"whole{suffix}")
    out = tmp_path / f"out{suffix}"
    summary = merge(out, shards(tmp_path, 3, suffix)[::-1])
    assert out.read_bytes() == whole.read_bytes()
    assert (summary.rows, summary.errors, summary.parameters.shard) == (23, 5, Shard())
    assert summary.accuracy == 0.0


def test_what_makes_no_whole(tmp_path: Path) -> None:
    out, (first, second, third) = tmp_path / "out.jsonl", shards(tmp_path, 3)
    with pytest.raises(MergeError, match="these are missing: 2"):
        merge(out, [first, second])
    with pytest.raises(OutputError, match="no complete output"):
        merge(out, [first, second, tmp_path / "nothing.jsonl"])
    lines = third.read_bytes().splitlines(keepends=True)
    for wrong, text in ((lines[:-1], "input 20 is missing"), (lines * 2, "more rows")):
        third.write_bytes(b"".join(wrong))
        with pytest.raises(MergeError, match=text):
            merge(out, [first, second, third])
    third.write_bytes(b"no rows")
    with pytest.raises(OutputError):
        merge(out, [first, second, third])
    assert not out.exists()
    assert not (tmp_path / "out.jsonl.partial").exists()


def test_shards_of_other_runs(tmp_path: Path) -> None:
    first, second = shards(tmp_path, 2)
    out = tmp_path / "out.jsonl"
    other = tmp_path / "other.jsonl"
    given = {"shard": Shard(1, 2), "labels_from_folders": True}
    contents = [b"%d" % n if n % 5 else b"bad" for n in range(23)]
    score(job(other, contents, parameters=given), FakeTransport(versions=[2]))
    with pytest.raises(MergeError, match=r"version 1.* of version 2"):
        merge(out, [first, other])
    score(job(other, contents[:-1], parameters=given, overwrite=True), FakeTransport())
    with pytest.raises(MergeError, match=r"saw 23 inputs.*saw 22"):
        merge(out, [first, other])
    score(job(other, contents, parameters={**given, "top_k": 1}, overwrite=True), FakeTransport())
    with pytest.raises(MergeError, match="different commands"):
        merge(out, [first, other])
    merge(out, [first, second])
    with pytest.raises(OutputError, match="--overwrite"):
        merge(out, [first, second])
    merge(out, [first, second], overwrite=True)


def test_a_shard_is_one_of_so_many() -> None:
    for number, of in ((-1, 2), (2, 2), (0, 0)):
        with pytest.raises(ValueError, match="counted from 0"):
            Shard(number, of)
    assert Parameters(sources=(), model="m").shard == Shard(0, 1)
