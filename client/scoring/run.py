"""A run: every input of the sources once, a row each, in order, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from client.scoring import outputs, sources
from client.scoring.errors import OutputError, SourceError, TooManyErrorsError
from client.scoring.items import Found, Item, Items
from client.scoring.journal import Header, Journal, read_summary
from client.scoring.patience import Patience, Waits
from client.scoring.rows import Parameters, Summary
from client.scoring.scorer import resolved
from client.scoring.tally import Tally
from client.scoring.transport import Transport
from client.scoring.workers import Threads, Workers


class Progress(Protocol):
    """Is told how a run goes."""

    def begin(self, done: int) -> None:
        """Rows that were there already."""
        ...

    def advance(self, rows: int, errors: int, in_flight: int) -> None:
        """Rows that were just written, all errors so far, and requests allowed in flight."""
        ...


class Silent:
    """Tells nobody."""

    def begin(self, done: int) -> None: ...

    def advance(self, rows: int, errors: int, in_flight: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run is to do.

    Attributes:
        parameters: what makes it the same run when it is started again.
        out: the output.
        overwrite: whether an output, or one that another command began, may be replaced.
        skip_finished: whether an output of the same command that is complete is as good as made.
        max_errors: end when more rows than this have an error; None never does.
        concurrency: the most requests in flight.
        waits: how long to wait for what may pass.
        found: what gives the inputs, in tests; else the sources of the parameters.
    """

    parameters: Parameters
    out: Path
    overwrite: bool = False
    skip_finished: bool = False
    max_errors: int | None = None
    concurrency: int = 32
    waits: Waits = field(default_factory=Waits)
    found: Callable[[], Iterable[Found]] | None = None

    def inputs(self) -> Iterable[Found]:
        if self.found is not None:
            return self.found()
        return sources.inputs(self.parameters.sources, self.parameters.column)


def score(
    job: Job,
    transport: Transport,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> Summary:
    """Scores every input and writes the output, which appears under its name when it is complete.

    What was scored before this was started, by the same command, is kept.

    Args:
        job: what to do.
        transport: the way to the server.
        progress: is told how it goes.
        workers: who makes the rows; threads of this process unless given.

    Raises:
        ScoringError: as its kinds say; the same command continues.
        OSError: the output can't be written.
    """
    outputs.check(job.out)
    if job.found is None:
        sources.check(job.parameters.sources)
    with Journal(job.out) as journal:
        finished = journal.done()
        if finished is not None and finished.parameters == job.parameters:
            return finished
        finished = _finished(job)
        if finished is not None:
            return finished
        workers = workers or Threads(transport, job.parameters, job.concurrency)
        return _run(job, transport, journal, progress or Silent(), workers)


def _finished(job: Job) -> Summary | None:
    """Returns the summary of an output that may stay as it is; None if there is none."""
    if not job.out.exists() or job.overwrite:
        return None
    if job.skip_finished:
        summary = read_summary(job.out)
        if summary.parameters == job.parameters:
            return summary
    raise OutputError(f"{job.out} exists; --overwrite replaces it")


def _run(
    job: Job, transport: Transport, journal: Journal, progress: Progress, workers: Workers
) -> Summary:
    began, patience = time.monotonic(), Patience(job.waits)
    header = _header(job, transport, journal, patience)
    tally, items = Tally(), Items(job.inputs(), job.parameters.shard)
    todo = iter(items)
    _check_known(todo, journal, tally)
    journal.resume()
    progress.begin(tally.rows)
    try:
        for rows in workers.rows(todo, header.version, patience):
            journal.append(rows)
            for row in rows:
                tally.add(row)
            progress.advance(len(rows), tally.errors, workers.in_flight)
            _check_errors(job, tally)
    finally:
        patience.stop()
    summary = Summary(
        parameters=job.parameters,
        version=header.version,
        labels=header.labels,
        inputs=items.seen,
        rows=tally.rows,
        errors=tally.errors,
        seconds=round(time.monotonic() - began, 3),
        accuracy=tally.accuracy,
        confusion=tally.confusion,
    )
    _write(journal, job.out.suffix)
    journal.finish(summary)
    return summary


def _header(job: Job, transport: Transport, journal: Journal, patience: Patience) -> Header:
    parameters = job.parameters
    known = journal.header(parameters, overwrite=job.overwrite)
    if known is not None:
        patience.progress()  # the address was a good one: it may be away for long
        return known
    found = resolved(transport, parameters.version, patience)
    version = None if parameters.any_version else found.version
    header = Header(parameters, version, () if parameters.any_version else found.labels)
    journal.begin(header)
    return header


def _check_known(todo: Iterator[Item], journal: Journal, tally: Tally) -> None:
    """Goes past the items that have their rows.

    Raises:
        SourceError: the sources give other inputs than they did.
    """
    for row in journal.rows():
        item = next(todo, None)
        if item is None or (item.index, item.name) != (row.index, row.path):
            now = "nothing" if item is None else item.name
            raise SourceError(
                f"input {row.index} was {row.path} when the run began, and is {now} now: the"
                f" sources have changed. Restore them, or remove {journal.folder} to begin anew"
            )
        tally.add(row)


def _check_errors(job: Job, tally: Tally) -> None:
    if job.max_errors is not None and tally.errors > job.max_errors:
        raise TooManyErrorsError(
            f"{tally.errors} of {tally.rows} inputs failed, more than the {job.max_errors} of"
            " --max-errors; the same command with a larger number continues"
        )


def _write(journal: Journal, suffix: str) -> None:
    if suffix == ".jsonl":
        journal.rows_are_the_result()
    else:
        outputs.write(journal.result, suffix, journal.rows())
