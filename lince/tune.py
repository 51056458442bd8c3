"""The verb that finds a model's batching parameters."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lince.shared import say, settings_of_environment

if TYPE_CHECKING:
    from export.versions import Version
    from server.tuning.candidate import Candidate
    from server.tuning.search import Goal, Outcome, Record
    from server.tuning.serving import Measure


@click.command()
@click.argument("model")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.option("--version", "number", type=click.IntRange(0), help="The newest unless given.")
@click.option("--callers", type=click.IntRange(2, 512), default=32, show_default=True,
              help="How many call at the same time; as many as you expect.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=2.0, show_default=True,
              help="Of each measurement.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True,
              help="In which the last candidates are compared.")  # fmt: skip
@click.option("--objective", type=click.Choice(["throughput", "latency"]), default="throughput",
              show_default=True, help="Most images a second, or the lowest p99.")  # fmt: skip
@click.option("--max-p99", type=click.FloatRange(0, min_open=True), metavar="MS",
              help="Only candidates whose 99th percentile is not above.")  # fmt: skip
@click.option("--model-server", "program", metavar="PROGRAM",
              help="As of `lince up`; unless given, LINCE_MODEL_SERVER_PROGRAM.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Written instead of the version's batching_params.pbtxt.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def tune(
    model: str,
    flags: tuple[str, ...],
    number: int | None,
    callers: int,
    seconds: float,
    rounds: int,
    objective: Literal["throughput", "latency"],
    max_p99: float | None,
    program: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find the batching parameters with which a model server does most for MODEL.

    Starts a model server on a free port, lets callers send one image a call, and compares batch
    sizes, waits and threads with no batching at all, in turns. What is clearly better is written to
    batching_params.pbtxt in the version's folder; if nothing is, nothing is written. It takes about
    three minutes, which the machine should have for itself. FLAGS are the model server's, as you
    serve with.

    \b
      lince tune flowers-cnn
      lince tune flowers-cnn --callers 8 --objective latency
      lince tune flowers-cnn --max-p99 200 --out params.pbtxt -- --grpc_max_threads=64

    A model server reads the file when it loads the version, if it was started with
    --enable_batching --enable_per_model_batching_parameters.

    Exit codes: 0 the file is written, or batching doesn't pay (the output says which), 1 failed,
    2 wrong usage, 130 interrupted.
    """
    from contract.files import write_whole
    from export.versions import find
    from server.tuning.candidate import FILE
    from server.tuning.search import Goal
    from server.tuning.serving import takes_threads

    if wrong := [flag for flag in flags if not flag.startswith("--")]:
        raise click.BadParameter(f"{wrong[0]!r} has not the form --name=value", param_hint="FLAGS")
    settings = settings_of_environment()
    version = find(settings.models_dir, model, number)
    program = program or settings.model_server_program
    goal = Goal(
        callers=callers,
        seconds=seconds,
        rounds=rounds,
        objective=objective,
        max_p99_ms=max_p99,
        try_threads=takes_threads(program),
    )
    target = out or version.folder / FILE
    if not target.parent.is_dir():
        raise click.BadParameter(f"{target.parent} is no folder", param_hint="--out")
    outcome = _search(goal, version.folder, program, flags, settings.max_batch)
    if outcome.chosen is not None:
        content = outcome.chosen.text(settings.max_batch)
        write_whole(target, content.encode())
    if as_json:
        _show_json(outcome, goal, version, target)
    else:
        _show(outcome, target)


def _search(
    goal: Goal, version: Path, program: str, flags: Sequence[str], largest_call: int
) -> Outcome:
    from tqdm import tqdm

    from server.tuning.callers import callers
    from server.tuning.search import measurements, search
    from server.tuning.serving import serving

    bar = tqdm(total=measurements(goal), desc="measuring", leave=False, disable=None)
    with callers() as calling, bar:

        def serve(candidates: Sequence[Candidate]) -> AbstractContextManager[Measure]:
            return serving(
                version,
                candidates,
                calling,
                program=program,
                flags=flags,
                largest_call=largest_call,
            )

        def measured() -> None:
            bar.update()

        return search(goal, serve, measured)


def _show(outcome: Outcome, target: Path) -> None:
    row = "{:32} {:>9} {:>9} {:>9} {:>9}  {}"
    click.echo(row.format("", "images/s", "median ms", "p99 ms", "alone ms", "against unbatched"))
    for candidate, record in _best_first(outcome):
        name = "unbatched" if candidate is None else str(candidate)
        if record.error is not None:
            click.echo(f"{name:32} {record.error}")
            continue
        numbers = (record.rate, record.median_ms, record.p99_ms, record.alone_ms)
        spread = f"{record.gain:.2f} ({min(record.gains):.2f} to {max(record.gains):.2f})"
        click.echo(row.format(name, *(f"{number:.1f}" for number in numbers), spread))
    if outcome.chosen is not None:
        click.echo(f"chosen: {outcome.chosen}: {outcome.why}")
        click.echo(f"written: {target}")
        return
    click.echo(f"batching doesn't pay: {outcome.why}")
    if target.exists():
        say(f"note: {target} is there from before; without it the model runs unbatched")


def _show_json(outcome: Outcome, goal: Goal, version: Version, target: Path) -> None:
    import msgspec

    chosen = outcome.chosen
    document = {
        "model": version.name,
        "version": version.number,
        "goal": goal,
        "chosen": chosen,
        "why": outcome.why,
        "file": None if chosen is None else str(target),
        "measured": [
            {"parameters": candidate} | ({"error": record.error} if record.error else _row(record))
            for candidate, record in _best_first(outcome)
        ],
    }
    click.echo(msgspec.json.encode(document))


def _row(record: Record) -> dict[str, object]:
    return {
        "images_per_second": record.rate,
        "median_ms": record.median_ms,
        "p99_ms": record.p99_ms,
        "alone_ms": record.alone_ms,
        "gain": record.gain,
        "gains": record.gains,
    }


def _best_first(outcome: Outcome) -> list[tuple[Candidate | None, Record]]:
    """The unbatched model, the candidates from best to worst, and those that failed."""

    def order(item: tuple[Candidate | None, Record]) -> tuple[bool, bool, float]:
        candidate, record = item
        failed = record.error is not None
        return candidate is not None, failed, 0.0 if failed else -record.gain

    return sorted(outcome.records.items(), key=order)
