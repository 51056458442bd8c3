"""The verbs that ask a gateway."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lince.shared import SOME_FAILED, say, settings_of_environment


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", help="Needed only where the gateway serves several.")
@click.option("--top-k", type=click.IntRange(1), default=1, show_default=True)
@click.option("--gateway", "url", help="Address of the gateway; LINCE_GATEWAY unless given.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line per file.")
def classify(
    files: tuple[Path, ...], model: str | None, top_k: int, url: str | None, as_json: bool
) -> None:
    """Classify pictures with a gateway that runs.

    A file that fails gets its error and does not stop the others; the exit code is 4 then.
    """
    from client.show import classify_files

    address = url or settings_of_environment().gateway
    failed = classify_files(address, files, model, top_k, as_json=as_json, echo=click.echo)
    sys.exit(SOME_FAILED if failed else 0)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl file.")
@click.option("--model", help="Needed only where the gateway serves several.")
@click.option("--gateway", "url", help="Address of the gateway; LINCE_GATEWAY unless given.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=4, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
def score(
    folder: Path, out: Path, model: str | None, url: str | None, concurrency: int, overwrite: bool
) -> None:
    """Classify every picture below a folder: a JSON line each, in path order.

    A picture that can't be classified is a row with its error; the exit code is 4 then.
    """
    from client.gateway import Client
    from client.score import score as run
    from client.show import only_model

    if out.exists() and not overwrite:
        raise click.ClickException(f"{out} exists; --overwrite replaces it")
    with Client(url or settings_of_environment().gateway) as gateway_client:
        name = model or only_model(gateway_client)
        summary = run(gateway_client, folder, out, name, concurrency=concurrency)
    say(f"{summary.pictures} pictures, {summary.errors} with an error: {out}")
    sys.exit(SOME_FAILED if summary.errors else 0)
