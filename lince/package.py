"""The verb that makes a model image's build context."""

from __future__ import annotations

from pathlib import Path

import click

from lince.shared import say, settings_of_environment


@click.command()
@click.argument("name")
@click.option(
    "--version",
    "numbers",
    type=click.IntRange(0),
    multiple=True,
    help="The newest unless given; several for a canary or a rollback.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to make; it must not be there yet.",
)
def package(name: str, numbers: tuple[int, ...], out: Path) -> None:
    """Write a Docker build context of an image that holds a model's versions under /models.

    An init container copies them out of the image, or Kubernetes mounts it as a volume. The same
    versions give the same context, byte for byte.

    \b
      lince package flowers-cnn --out build/flowers-cnn
      docker build --tag registry.example.com/flowers-cnn:3 build/flowers-cnn
      lince package flowers-cnn --version 2 --version 3 --out build/both
    """
    from export.package import package as write
    from export.versions import find

    models = settings_of_environment().models_dir
    wanted: list[int | None] = [*sorted(set(numbers))] or [None]
    versions = [find(models, name, number) for number in wanted]
    write(versions, out)
    say(f"{name}, version {', '.join(str(version.number) for version in versions)}")
    click.echo(out)
