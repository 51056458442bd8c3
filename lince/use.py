"""The verbs that ask a gateway."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lince.shared import SOME_FAILED, settings_of_environment


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
