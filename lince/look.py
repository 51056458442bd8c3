"""The verbs that show what there is, and what came of it."""

from __future__ import annotations

from pathlib import Path

import click

from lince.shared import load_tensorflow, run_folder, say, settings_of_environment


@click.command()
@click.argument("name", required=False)
@click.option("--expand", is_flag=True, help="Show a backbone's layers too.")
def recipes(name: str | None, expand: bool) -> None:
    """Show the recipes, or one with its layers, shapes and parameters."""
    from training.recipes import find
    from training.show import recipe_card, recipe_table

    if name is None:
        for line in recipe_table():
            click.echo(line)
        return
    recipe = find(name)
    for line in recipe_card(recipe):
        click.echo(line)
    load_tensorflow()
    from training.networks.build import blueprint
    from training.networks.summary import table

    click.echo()
    for line in table(blueprint(recipe), expand=expand):
        click.echo(line)


@click.command()
@click.argument("name", required=False)
def datasets(name: str | None) -> None:
    """Show the data sets, or one with its license, counts and checksums."""
    from training.show import dataset_card, dataset_table

    for line in dataset_table() if name is None else dataset_card(name):
        click.echo(line)


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "--augment",
    type=click.Choice(["document-b", "document-d", "flip"]),
    default="document-b",
    show_default=True,
)
@click.option("--side", type=click.IntRange(16, 1024), default=180, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("preview.png"))
def preview(picture: Path, augment: str, side: int, seed: int, out: Path) -> None:
    """Draw a picture and nine augmented versions of it.

    They are what training would see of it; the exported model has no augmentation.
    """
    from contract.files import write_whole
    from contract.pixels import PixelSpec, decode

    pixels = decode(picture, PixelSpec(height=side, width=side, channels=3))
    load_tensorflow()
    from training.networks.augmentation import layers_of
    from training.pictures.augmentation import preview as draw
    from training.pictures.theme import LIGHT

    write_whole(out, draw(pixels, layers_of(augment), LIGHT, seed))
    click.echo(out)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Draw a complete run's pictures and report.html anew.

    RUN is a run folder, or a recipe's name for its newest run.
    """
    folder = run_folder(run)
    folder.manifest()
    load_tensorflow()
    from training.report.page import write_report

    click.echo(write_report(folder, say))


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The page; comparison.html in the folder of runs unless given.",
)
def compare(runs: tuple[Path, ...], out: Path | None) -> None:
    """Compare runs side by side: a table here, and a page with their curves.

    RUNS are run folders, or recipes' names for their newest runs.
    """
    folders = [run_folder(run) for run in runs]
    from training.report.compare import compare as side_by_side
    from training.report.compare import table

    page = out or settings_of_environment().runs_dir / "comparison.html"
    for line in table(side_by_side(folders, page)):
        click.echo(line)
    say(f"page: {page}")
