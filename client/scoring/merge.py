"""Joining the outputs of shards, in the order of the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from client.scoring import outputs
from client.scoring.errors import MergeError, OutputError
from client.scoring.journal import Journal, read_summary
from client.scoring.rows import Parameters, Row, Shard, Summary
from client.scoring.tally import Tally


def merge(out: Path, shards: Sequence[Path], *, overwrite: bool = False) -> Summary:
    """Joins complete shard outputs into one, which appears when it is complete.

    Raises:
        MergeError: one is missing, given twice, of another run, or not whole.
        OutputError: the output exists, or a shard is no complete output.
        OSError: the output can't be written.
    """
    outputs.check(out)
    with Journal(out) as journal:
        files = _in_order({path: read_summary(path) for path in shards})
        whole = msgspec.structs.replace(files[0][1].parameters, shard=Shard())
        finished = journal.done()
        if finished is not None and finished.parameters == whole:
            return finished
        if not overwrite:
            journal.check_unused()
            if out.exists():
                raise OutputError(f"{out} exists; --overwrite replaces it")
        journal.clear()
        return _merge(journal, files, whole)


def _merge(journal: Journal, files: Sequence[tuple[Path, Summary]], whole: Parameters) -> Summary:
    first = files[0][1]
    tally = Tally()
    outputs.write(journal.result, journal.out.suffix, _joined(files, tally))
    summary = msgspec.structs.replace(
        first,
        parameters=whole,
        rows=tally.rows,
        errors=tally.errors,
        seconds=round(sum(each.seconds for _, each in files), 3),
        accuracy=tally.accuracy,
        confusion=tally.confusion,
    )
    journal.finish(summary)
    return summary


def _in_order(summaries: dict[Path, Summary]) -> list[tuple[Path, Summary]]:
    files = sorted(summaries.items(), key=lambda one: one[1].parameters.shard.number)
    path, first = files[0]
    for other, summary in files[1:]:
        _check_same(path, first, other, summary)
    numbers = [summary.parameters.shard.number for _, summary in files]
    expected = range(first.parameters.shard.of)
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        raise MergeError(f"shard {min(twice)} is given twice")
    if missing := set(expected) - set(numbers):
        listed = ", ".join(map(str, sorted(missing)))
        raise MergeError(f"of {len(expected)} shards these are missing: {listed}")
    return files


def _check_same(path: Path, first: Summary, other: Path, summary: Summary) -> None:
    plain = [
        msgspec.structs.replace(each.parameters, shard=Shard(0, each.parameters.shard.of))
        for each in (first, summary)
    ]
    if plain[0] != plain[1]:
        raise MergeError(f"{path} and {other} are of different commands")
    if first.version != summary.version:
        raise MergeError(
            f"{path} is of version {first.version}, {other} of version {summary.version}:"
            " give all shards the same --version"
        )
    if first.inputs != summary.inputs:
        raise MergeError(
            f"{path} saw {first.inputs} inputs, {other} saw {summary.inputs}:"
            " the sources changed in between"
        )


def _joined(files: Sequence[tuple[Path, Summary]], tally: Tally) -> Iterator[Row]:
    rows = [outputs.read(path) for path, _ in files]
    for index in range(files[0][1].inputs):
        path = files[index % len(files)][0]
        row = next(rows[index % len(files)], None)
        if row is None or row.index != index:
            raise MergeError(f"{path}: input {index} is missing")
        tally.add(row)
        yield row
    for (path, _), rest in zip(files, rows, strict=True):
        if next(rest, None) is not None:
            raise MergeError(f"{path} has more rows than inputs")
