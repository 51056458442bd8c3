"""The verb that scores whole data sets."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from lince.shared import INTERRUPTED, SOME_FAILED, say, settings_of_environment

if TYPE_CHECKING:
    from client.scoring import Job, Shard, Summary
    from client.scoring.transport import Transport

#: Set by Kubernetes in the pods of an Indexed Job.
_INDEX = "JOB_COMPLETION_INDEX"
_GRPC = "grpc://"


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--out", metavar="FILE", help="A .jsonl, .csv or .parquet file; {shard} in it is the shard's."
)
@click.option("--model", help="Needed only where the gateway serves several, and with grpc://.")
@click.option(
    "--gateway",
    "url",
    metavar="URL",
    help="http(s)://… (LINCE_GATEWAY) or, for the model server itself, grpc://host:port.",
)
@click.option(
    "--column",
    metavar="NAME",
    default="path",
    show_default=True,
    help="Of tables, where the paths are.",
)
@click.option("--top-k", type=click.IntRange(1), default=5, show_default=True,
              help="Labels in the ranked list of each row.")  # fmt: skip
@click.option("--probabilities", is_flag=True, help="Every label's probability in each row.")
@click.option("--labels-from-folders", is_flag=True, help="A folder's name is the true label.")
@click.option("--version", type=click.IntRange(0), help="Of the model; the newest unless given.")
@click.option("--any-version", is_flag=True, help="The version may change during the run.")
@click.option("--max-errors", type=click.IntRange(0), help="Stop when more inputs than this fail.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=32, show_default=True,
              help="Most requests in flight; how many are best is found out.")  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(1, 256), help="How many decode, with grpc://; one per core."
)
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True,
              help="Seconds of one request.")  # fmt: skip
@click.option("--patience", type=click.FloatRange(0), default=600.0, show_default=True,
              help="Seconds without progress until the run stops.")  # fmt: skip
@click.option("--shard", metavar="I/N", help="Score only every N-th input from I, from 0.")
@click.option("--shards", type=click.IntRange(1), help=f"As --shard I/N; I is {_INDEX}.")
@click.option(
    "--merge", metavar="FILE", help="Join the outputs of shards, given as SOURCES, into this file."
)
@click.option(
    "--overwrite", is_flag=True, help="Replace an output, finished or of another command."
)
@click.option("--skip-finished", is_flag=True, help="A finished output of this command is success.")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON on stdout.")
def score(**given: object) -> None:
    """Classify every picture of the SOURCES: a row each, in the order of the inputs.

    SOURCES are folders, globs, pictures, lists (.txt), tables (.csv, .tsv, .parquet), archives
    (.tar, .tar.gz), and URLs of them (s3://, gs://, https://).

    \b
      lince score photos/ --out results.parquet
      lince score photos/ --out results.csv --labels-from-folders    accuracy too
      lince score list.txt --out results.jsonl --model flowers-cnn \\
          --gateway grpc://127.0.0.1:8500       no gateway: this machine decodes
      lince score s3://bucket/photos/ --out part-{shard}.parquet --shard 0/8
      lince score --merge results.parquet part-*-of-8.parquet

    Stopped at any moment, the same command continues. A picture that can't be classified is a row
    with its error. Exit codes: 0 all are classified, 1 stopped, 2 wrong usage, 4 complete, but
    some rows have an error, 130 interrupted.
    """
    options = _Options(**given)  # type: ignore[arg-type]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        summary, out = options.merged() if options.merge else options.scored()
    except KeyboardInterrupt:
        say("interrupted; the same command continues")
        sys.exit(INTERRUPTED)
    if options.as_json:
        import msgspec

        click.echo(msgspec.json.encode(summary))
    elif not options.quiet:
        _tell(summary, out)
    sys.exit(SOME_FAILED if summary.errors else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends the run in order; a second signal ends the process at once, and loses nothing either."""
    del number, frame
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The options, as click gives them."""

    sources: tuple[str, ...]
    out: str | None
    model: str | None
    url: str | None
    column: str
    top_k: int
    probabilities: bool
    labels_from_folders: bool
    version: int | None
    any_version: bool
    max_errors: int | None
    concurrency: int
    processes: int | None
    timeout: float
    patience: float
    shard: str | None
    shards: int | None
    merge: str | None
    overwrite: bool
    skip_finished: bool
    quiet: bool
    as_json: bool

    def merged(self) -> tuple[Summary, Path]:
        from client.scoring import merge

        assert self.merge is not None
        out = Path(self.merge)
        files = [Path(source) for source in self.sources]
        return merge(out, files, overwrite=self.overwrite), out

    def scored(self) -> tuple[Summary, Path]:
        if self.out is None:
            raise click.UsageError("Missing option '--out', where the rows go.")
        if self.version is not None and self.any_version:
            raise click.UsageError("--version and --any-version contradict each other.")
        shard = self._shard()
        out = Path(self.out.replace("{shard}", f"{shard.number}-of-{shard.of}"))
        url = self.url or settings_of_environment().gateway
        transport, model = self._grpc(url) if url.startswith(_GRPC) else self._http(url)
        try:
            return self._run(transport, self._job(out, shard, model, url)), out
        finally:
            transport.close()

    def _run(self, transport: Transport, job: Job) -> Summary:
        from client.scoring import score as run
        from client.scoring.progress import Bar
        from client.scoring.sources import can_be_counted

        count = job.inputs if can_be_counted(self.sources) else None
        bar = nullcontext() if self.quiet else Bar(count, job.parameters.shard)
        with bar as progress:
            return run(job, transport, progress)

    def _job(self, out: Path, shard: Shard, model: str, url: str) -> Job:
        from client.scoring import Job, Parameters
        from client.scoring.patience import Waits

        parameters = Parameters(
            sources=self.sources,
            column=self.column,
            transport="grpc" if url.startswith(_GRPC) else "http",
            model=model,
            version=self.version,
            any_version=self.any_version,
            top_k=self.top_k,
            probabilities=self.probabilities,
            labels_from_folders=self.labels_from_folders,
            shard=shard,
        )
        return Job(
            parameters=parameters,
            out=out,
            overwrite=self.overwrite,
            skip_finished=self.skip_finished,
            max_errors=self.max_errors,
            concurrency=self.concurrency,
            waits=Waits(patience=self.patience),
        )

    def _grpc(self, url: str) -> tuple[Transport, str]:
        from client.scoring.over_grpc import OverGrpc
        from contract.wire import tls

        if self.model is None:
            raise click.UsageError(
                "Missing option '--model': a model server can't list its models."
            )
        transport = OverGrpc(
            url.removeprefix(_GRPC).rstrip("/"),
            tls=tls.read(settings_of_environment()),
            model=self.model,
            top_k=self.top_k,
            probabilities=self.probabilities,
            timeout=self.timeout,
            processes=self.processes or os.cpu_count() or 1,
        )
        return transport, self.model

    def _http(self, url: str) -> tuple[Transport, str]:
        from client.gateway import Client, Retry
        from client.scoring.over_http import OverHttp
        from client.show import only_model

        with Client(url, timeout=self.timeout) as patient:
            model = self.model or only_model(patient)
        client = Client(url, timeout=self.timeout, retry=Retry(times=0))
        http = OverHttp(client, model, top_k=self.top_k, probabilities=self.probabilities)
        return http, model

    def _shard(self) -> Shard:
        from client.scoring import Shard

        if self.shard is not None and self.shards is not None:
            raise click.UsageError("--shard and --shards say the same: give one of them.")
        text = self.shard
        if self.shards is not None:
            if _INDEX not in os.environ:
                raise click.UsageError(f"--shards needs {_INDEX}, as an Indexed Job sets it.")
            text = f"{os.environ[_INDEX]}/{self.shards}"
        if text is None:
            return Shard()
        number, _, of = text.partition("/")
        try:
            return Shard(int(number), int(of))
        except ValueError as error:
            raise click.UsageError(f"shard {text}: it is I/N, I from 0 to N - 1.") from error


def _tell(summary: Summary, out: Path) -> None:
    from client.scoring.tally import confusion_table

    version = "any version" if summary.version is None else f"version {summary.version}"
    say(
        f"{summary.rows} pictures, {summary.errors} with an error,"
        f" model {summary.parameters.model}, {version}: {out}"
    )
    if summary.accuracy is not None and summary.confusion is not None:
        say(f"accuracy {summary.accuracy:.4f}; true labels down, found ones across:")
        for line in confusion_table(summary.confusion):
            say(f"  {line}")
