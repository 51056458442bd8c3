"""The main job: from nothing to a system that answers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lince.serve import start_servers
from lince.shared import DATA_MISSING, say, settings_of_environment


@click.command()
def run() -> None:
    """Train a first model if there is none, serve all models, and classify test pictures.

    Stays until Ctrl-C. The first model is fashion-cnn where its data can be had, else digits-cnn.
    """
    from export.versions import list_versions
    from server.up import System
    from training import first_model

    settings, log = settings_of_environment(), Path("lince.log")
    if not list_versions(settings.models_dir):
        say(f"no models in {settings.models_dir} yet: training a first one")
        if status := first_model.make(say, DATA_MISSING):
            sys.exit(status)
    say("starting the model server and the gateway")

    def show(system: System) -> None:
        from client.show import show_samples
        from export.versions import newest_of_each

        shown = []
        for version in newest_of_each(settings.models_dir):
            if version.manifest is not None:
                folder = settings.runs_dir / version.manifest.recipe / version.manifest.run
                shown += show_samples(system.gateway, version.name, folder, echo=click.echo)
        click.echo(f"\nready at {system.gateway}")
        if shown:
            model, file = shown[0]
            click.echo("in another terminal:")
            here = "" if settings.gateway == system.gateway else f" --gateway {system.gateway}"
            click.echo(f"  {sys.argv[0]} classify{here} --model {model} {file}")
            url = f"{system.gateway}/v1/models/{model}:classify"
            click.echo(f"  curl --data-binary @{file} {url}")
        click.echo(f"What the servers print is in {log}. Ctrl-C stops them.")

    start_servers((), show, log)
