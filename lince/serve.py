"""The verbs that serve models."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lince.shared import say, settings_of_environment


@click.command(
    "model-server",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def model_server(flags: tuple[str, ...]) -> None:
    """Run the embedded stand-in for TensorFlow Serving, with its flags.

    --help lists them.
    """
    from server.model_server import main as serve

    sys.exit(serve(flags))


@click.command()
def gateway() -> None:
    """Run the gateway in front of a model server.

    It listens on LINCE_HOST:LINCE_PORT, asks the model server at LINCE_MODEL_SERVER and serves the
    models named in LINCE_MODELS; `lince config` shows these and more. SIGTERM and Ctrl-C finish
    the requests in flight first.
    """
    # The gateway does no linear algebra; NumPy's library for it would keep a thread per core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    settings = settings_of_environment()
    if not settings.models:
        raise click.ClickException("LINCE_MODELS is empty: name the models to serve")
    from server.gateway import run as serve

    serve(settings)


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--model-server",
    metavar="PROGRAM",
    help="embedded, a program's name or path, or auto: tensorflow_model_server where it is on "
    "PATH, else the embedded one. Unless given, LINCE_MODEL_SERVER_PROGRAM.",
)
def up(names: tuple[str, ...], model_server: str | None) -> None:
    """Run a model server and a gateway on the models in models/, until Ctrl-C.

    NAMES are the models to serve, all unless given.
    """
    from server.up import System

    def show(system: System) -> None:
        click.echo(f"ready at {system.gateway} (model server: grpc {system.model_server})")
        click.echo("Ctrl-C stops")

    start_servers(names, show, program=model_server)


def start_servers(
    names: tuple[str, ...], when_ready: Any, log: Path | None = None, program: str | None = None
) -> None:
    from export.versions import newest_of_each
    from server.errors import StartError
    from server.up import up as start

    settings = settings_of_environment()
    if program:
        settings = replace(settings, model_server_program=program)
    versions = newest_of_each(settings.models_dir)
    for version in versions:
        if version.manifest is None:
            say(f"model {version.name} is left out: version {version.number} has no manifest")
    there = [version.name for version in versions if version.manifest is not None]
    if missing := sorted(set(names) - set(there)):
        raise click.ClickException(f"no model {', '.join(missing)} in {settings.models_dir}")
    if not there:
        raise click.ClickException(f"no models in {settings.models_dir}: train and export one")
    try:
        start(settings, names or tuple(there), when_ready, log)
    except StartError as error:
        where = f"; {log} has what it printed" if log else ""
        raise click.ClickException(f"{error}{where}") from error


@click.command()
def config() -> None:
    """Show every setting: its variable, the value in force, and what it means."""
    from contract.settings import describe

    for variable, value, text in describe(settings_of_environment()):
        click.echo(f"{variable}={value}\n    {text}")
