"""The verbs that make models: from a recipe to a published version."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lince.shared import load_tensorflow, run_folder, say, settings_of_environment

if TYPE_CHECKING:
    from contract.manifest import Optimisation
    from contract.run_folder import RunFolder
    from export.verify import Verification

_SHARE, _RATE = click.FloatRange(0, 0.5), click.FloatRange(0, min_open=True)
_COUNT = click.IntRange(1)
#: By how much an optimised export may change a probability. bfloat16 has moved them by a few
#: thousandths: a few times that is still nothing that anybody sees of a percentage, and far from
#: what a rewrite that went wrong would do.
_MAX_CHANGE = 0.015
_DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="auto takes every GPU there is, gpu fails where there is none.",
)
_REPLICAS = click.option(
    "--replicas",
    type=click.IntRange(1, 16),
    default=1,
    help="With --device cpu: as many logical devices, to see what several GPUs would do.",
)

#: Options of `lince train`, by what they change; a name is a field of `FitOptions`.
_TRAIN_OPTIONS = [
    # the data
    click.option(
        "--data",
        "given",
        type=click.Path(path_type=Path),
        help="A folder with one sub-folder of pictures per class (or train/, validation/ and test/"
        " with such), or an .npz file with x_train, y_train, x_test, y_test; instead of the"
        " recipe's data set.",
    ),
    click.option("--classes", help="Only these classes of the data, with commas between."),
    click.option(
        "--skip-bad", is_flag=True, help="Go on without files that can't be used, and list them."
    ),
    click.option(
        "--pixel-rule",
        type=click.IntRange(1, 2),
        help="How files become pixels, in this fit and wherever the model is served. 2 is for"
        " pictures at least four times as large as the model's input: it decodes JPEGs smaller and"
        " takes about half the time for camera photographs. 1 unless given.",
    ),
    click.option(
        "--validation",
        "validation_share",
        type=_SHARE,
        help="Share of the pictures held out to choose the best epoch; 0 keeps the last.",
    ),
    click.option(
        "--augment",
        "augmentation",
        type=click.Choice(["document-b", "document-d", "flip", "none"]),
        help="Change the training pictures at random; lince preview shows how.",
    ),
    # the fit
    click.option("--epochs", type=_COUNT, help="Instead of the recipe's (of its first stage)."),
    click.option("--batch", type=_COUNT, help="Pictures in a step, of all devices together."),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        help="Decides the split, the first weights and the order.",
    ),
    click.option("--optimizer", type=click.Choice(["sgd", "adam", "rmsprop"])),
    click.option("--learning-rate", type=_RATE, help="Of the first epoch."),
    click.option(
        "--decay", type=click.FloatRange(0, 1, min_open=True), help="Factor on it after each epoch."
    ),
    click.option(
        "--loss",
        type=click.Choice(["sparse_categorical_crossentropy", "categorical_crossentropy"]),
        help="The same loss, on class numbers or on one-hot labels.",
    ),
    click.option("--class-weights", is_flag=True, help="Let rare classes count as much as others."),
    click.option(
        "--stop-at-accuracy", type=click.FloatRange(0, 1), help="Stop once training reaches this."
    ),
    click.option(
        "--patience", type=_COUNT, help="Stop after so many epochs without a better validation."
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "mixed_float16", "mixed_bfloat16"]),
        help="Of the fit; what is evaluated and exported is always float32.",
    ),
    # the backbone
    click.option(
        "--weights", help="Of the backbone: imagenet (downloaded by Keras), none, or a file."
    ),
    click.option("--alpha", type=_RATE, help="Width of MobileNetV2."),
    click.option(
        "--fine-tune",
        type=click.IntRange(0),
        help="Epochs in which the backbone's last block is trained too, after the head alone.",
    ),
    click.option("--fine-tune-from", help="Name of the first layer that is, instead."),
    click.option("--fine-tune-rate", type=_RATE, help="Learning rate of these epochs."),
    # where, and what else
    _DEVICE,
    _REPLICAS,
    click.option("--tensorboard", is_flag=True, help="Write logs for TensorBoard."),
    click.option("--tiny", is_flag=True, help="Only a few batches, to see that all works."),
]


def _with_options(verb: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_TRAIN_OPTIONS):
        verb = option(verb)
    return verb


@click.command()
@click.argument("recipe")
@_with_options
def train(recipe: str, classes: str | None, **options: Any) -> None:
    """Fit a recipe and evaluate it on pictures it has never seen.

    Leaves a run folder in runs/RECIPE/ with the model, its history, its test set and report.html,
    which shows it all. Ctrl-C stops after the step in hand and keeps the best finished epoch;
    lince resume goes on. Several machines fit together where TF_CONFIG names them.

    \b
    Exit codes: 0 done, 3 the data or weights can't be had or used, 130 interrupted (the run is
    complete if an epoch was finished).
    """
    from training.recipes import find

    settings, found = settings_of_environment(), find(recipe)
    load_tensorflow()
    from training.fitting.fit import train as fit
    from training.fitting.options import FitOptions

    chosen = FitOptions(
        classes=tuple(name.strip() for name in (classes or "").split(",") if name.strip()),
        command=f"lince {shlex.join(sys.argv[1:])}",
        **options,
    )
    _complete(fit(found, chosen, runs=settings.runs_dir, cache=settings.cache_dir, say=say))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@_DEVICE
@_REPLICAS
def resume(run: Path, device: Any, replicas: int) -> None:
    """Go on with a fit that was killed or interrupted.

    RUN is a run folder, or a recipe's name for its newest run. The run ends with the epochs and the
    history that it would have had.
    """
    folder, cache = run_folder(run), settings_of_environment().cache_dir
    load_tensorflow()
    from training.fitting.fit import resume as go_on

    _complete(go_on(folder, cache=cache, say=say, device=device, replicas=replicas))


def _complete(run: RunFolder | None) -> None:
    if run is None:
        say("done: the first machine has the run folder")
        return
    from training.evaluation.evaluate import evaluate as complete
    from training.report.page import write_report

    complete(run, say)
    write_report(run, say)
    click.echo(run.folder)
    if any(run.backup.glob("*")):  # interrupted
        raise KeyboardInterrupt


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def evaluate(run: Path) -> None:
    """Evaluate a run folder on its test set, also one whose fit was killed.

    RUN is a run folder, or a recipe's name for its newest run. Prints precision and recall of each
    class; report.json and report.html in the folder have it all.
    """
    folder = run_folder(run)
    load_tensorflow()
    from training.evaluation.evaluate import evaluate as complete
    from training.evaluation.report import read_report
    from training.report.page import write_report
    from training.show import score_table

    complete(folder, say)
    write_report(folder, say)
    for line in score_table(read_report(folder)):
        click.echo(line)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", help="Of the model; the recipe's name unless given.")
@click.option(
    "--optimize",
    is_flag=True,
    help="Make it quicker: constant weights, and bfloat16 on CPUs that multiply it. What that"
    " changes is measured on the test set and written in the manifest.",
)
@click.option(
    "--max-change",
    type=click.FloatRange(0, 1, min_open=True),
    default=_MAX_CHANGE,
    show_default=True,
    help="With --optimize: refuse to publish if a probability changes by more.",
)
def export(run: Path, name: str | None, optimize: bool, max_change: float) -> None:
    """Verify a run against its Keras model and publish it as the next version of a model.

    RUN is a run folder, or a recipe's name for its newest run. The version appears in
    models/NAME/ whole or not at all; a running model server picks it up.
    """
    source = run_folder(run)
    source.manifest()
    load_tensorflow()
    from export.artifact import export as publish

    bound = max_change if optimize else None
    version, result = publish(source, settings_of_environment().models_dir, name, bound)
    click.echo(version.folder)
    _show_verification(result)
    if version.manifest is not None and version.manifest.optimisation is not None:
        _show_optimisation(version.manifest.optimisation)


@click.command()
@click.argument("model")
@click.option("--version", type=int, help="The newest unless given.")
@click.option("--run", type=click.Path(path_type=Path), help="The run it was made from.")
def verify(model: str, version: int | None, run: Path | None) -> None:
    """Load an exported model back and compare it with the Keras model it was made from.

    Over the whole test set; prints the largest difference of an output and fails above 1e-5 (1e-4
    with a pretrained backbone).
    """
    from contract.run_folder import RunFolder
    from export.versions import find

    settings = settings_of_environment()
    artifact = find(settings.models_dir, model, version)
    if run is None:
        if artifact.manifest is None:
            raise click.ClickException(f"{artifact.folder} has no manifest: give --run")
        run = settings.runs_dir / artifact.manifest.recipe / artifact.manifest.run
        if not run.is_dir():
            raise click.ClickException(f"{run}, from which it was made, is not there: give --run")
    load_tensorflow()
    from export.verify import verify as compare

    _show_verification(compare(artifact.folder, RunFolder(run)))


def _show_verification(result: Verification) -> None:
    same = "" if result.same_labels is None else f", same label for {result.same_labels}"
    say(
        f"verified on {result.examples} test examples: largest difference of an output"
        f" {result.largest_difference:.1e} (allowed {result.allowed:.0e}){same}"
    )


def _show_optimisation(done: Optimisation) -> None:
    kinds = {"float32": done.float32, f"bfloat16 ({done.bfloat16_by})": done.bfloat16}
    for kind, change in kinds.items():
        if change is None:
            say("bfloat16: not measured, this CPU can't multiply it; the artifact won't permit it")
            continue
        say(
            f"optimised, {kind}: a probability changes by {change.max_probability:.1e} at most,"
            f" {change.mean_probability:.1e} on average; another label for {change.changed_labels}"
            f" of {done.examples}; accuracy {done.accuracy:.4f}, now {change.accuracy:.4f}"
        )


@click.command()
def models() -> None:
    """List the exported models and their versions, newest first."""
    from export.versions import list_versions, table

    folder = settings_of_environment().models_dir
    versions = list_versions(folder)
    if not versions:
        say(f"no models in {folder} yet: lince train RECIPE, then lince export RECIPE")
        return
    for line in table(versions):
        click.echo(line)
