"""The command line: every verb on this page, each importing its package only when called."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from contract.run_folder import RunFolder
    from contract.settings import Settings
    from export.verify import Verification

#: Exit codes besides 0 (done), 1 (failed) and 2 (wrong usage).
DATA_MISSING, SOME_FAILED, INTERRUPTED = 3, 4, 130

_GROUPS = {
    "The main job": ("run",),
    "Make models": ("recipes", "train", "evaluate", "export", "verify", "models"),
    "Serve them": ("up", "model-server", "gateway", "config"),
    "Use them": ("classify", "score"),
}

# Which extra brings a package: a gateway or a client is installed without TensorFlow.
_EXTRAS = {
    "flask": "gateway",
    "granian": "gateway",
    "grpc_health": "model-server",
    "httpx": "client",
    "keras": "train",
    "sklearn": "train",
    "tensorflow": "train",
    "tensorflow_serving": "model-server",
}


class _Commands(click.Group):
    """Lists the commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in _GROUPS.items():
            with formatter.section(title):
                found = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl(
                    [(name, verb.get_short_help_str(70)) for name, verb in found if verb]
                )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lince")
def cli() -> None:
    """Lince trains image classifiers, exports them as SavedModels that describe themselves, serves
    them with TensorFlow Serving (or its embedded stand-in) and answers over HTTP.

    \b
    From nothing to an answer:
      lince train digits-cnn            fit a model
      lince export digits-cnn           publish it in models/
      lince up                          model server and gateway
      lince classify picture.png        ask

    Settings are environment variables LINCE_*; `lince config` shows them all.
    """


def main() -> None:
    """Runs the command line; what the user can put right is one line, not a stack trace."""
    # SIGTERM means the same as Ctrl-C, unless a verb has a better answer to both.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _say(f"Error: this needs {error.name}: pip install 'lince[{extra}]'")
        sys.exit(1)
    except Exception as error:
        if not _is_expected(error):
            raise
        _say(f"Error: {error}")
        sys.exit(DATA_MISSING if _is_of_data(error) else 1)


def _is_expected(error: Exception) -> bool:
    """Our own errors and the system's; told by their module, so that none has to be imported."""
    package = type(error).__module__.partition(".")[0]
    ours = package in ("contract", "training", "export", "server", "client")
    return isinstance(error, OSError) or ours


def _is_of_data(error: Exception) -> bool:
    return any(kind.__name__ == "DataError" for kind in type(error).__mro__)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _load_tensorflow() -> None:
    from contract.quiet import quiet_import

    with quiet_import():
        import tensorflow  # noqa: F401


def _settings() -> Settings:
    from contract.settings import Settings

    return Settings.from_environment(os.environ)


# --- make models


@cli.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """Show the recipe table, or one recipe with all that is known of it."""
    from training.recipes import find
    from training.show import recipe_card, recipe_table

    for line in recipe_card(find(name)) if name else recipe_table():
        click.echo(line)


@cli.command()
@click.argument("recipe")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A folder with one sub-folder of pictures per class, instead of the recipe's data set.",
)
@click.option("--epochs", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option("--batch", type=click.IntRange(1), help="Pictures in a step.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Decides the split, the first weights and the order.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.5),
    help="Share of the pictures held out to choose the best epoch; 0 keeps the last.",
)
@click.option("--tiny", is_flag=True, help="Only a few batches, to see that all works.")
def train(recipe: str, validation: float | None, data: Path | None, **options: Any) -> None:
    """Fit a recipe and evaluate it on pictures it has never seen.

    Leaves a run folder in runs/RECIPE/ with the model, its history, its test set and its report.
    Ctrl-C stops after the step in hand and keeps the best finished epoch.

    \b
    Exit codes: 0 done, 3 the data can't be had or used, 130 interrupted (the run is complete if
    an epoch was finished).
    """
    from training.recipes import find

    settings, found = _settings(), find(recipe)
    _load_tensorflow()
    from training.evaluate import evaluate as complete
    from training.fit import FitOptions
    from training.fit import train as fit

    chosen = FitOptions(folder=data, validation_share=validation, **options)
    run = fit(found, chosen, runs=settings.runs_dir, cache=settings.cache_dir, say=_say)
    manifest = complete(run, _say)
    click.echo(run.folder)
    if manifest.fit.epochs < manifest.fit.epochs_asked:
        raise KeyboardInterrupt


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
def evaluate(run: Path) -> None:
    """Evaluate a run folder on its test set, also one whose fit was killed.

    RUN is a run folder, or a recipe's name for its newest run. Prints precision and recall of each
    class; report.json in the folder has it all.
    """
    folder = _run_folder(run)
    _load_tensorflow()
    from training.evaluate import evaluate as complete
    from training.show import class_table

    complete(folder, _say)
    for line in class_table(folder.report):
        click.echo(line)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", help="Of the model; the recipe's name unless given.")
def export(run: Path, name: str | None) -> None:
    """Verify a run against its Keras model and publish it as the next version of a model.

    RUN is a run folder, or a recipe's name for its newest run. The version appears in
    models/NAME/ whole or not at all; a running model server picks it up.
    """
    source = _run_folder(run)
    source.manifest()
    _load_tensorflow()
    from export.artifact import export as publish

    version, result = publish(source, _settings().models_dir, name)
    click.echo(version.folder)
    _show_verification(result)


@cli.command()
@click.argument("model")
@click.option("--version", type=int, help="The newest unless given.")
@click.option("--run", type=click.Path(path_type=Path), help="The run it was made from.")
def verify(model: str, version: int | None, run: Path | None) -> None:
    """Load an exported model back and compare it with the Keras model it was made from.

    Over the whole test set; prints the largest difference of a probability and fails above 1e-5.
    """
    from contract.run_folder import RunFolder
    from export.versions import find

    settings = _settings()
    artifact = find(settings.models_dir, model, version)
    if run is None:
        if artifact.manifest is None:
            raise click.ClickException(f"{artifact.folder} has no manifest: give --run")
        run = settings.runs_dir / artifact.manifest.recipe / artifact.manifest.run
        if not run.is_dir():
            raise click.ClickException(f"{run}, from which it was made, is not there: give --run")
    _load_tensorflow()
    from export.verify import verify as compare

    _show_verification(compare(artifact.folder, RunFolder(run)))


def _show_verification(result: Verification) -> None:
    from export.verify import TOLERANCE

    _say(
        f"verified on {result.images} test pictures: largest difference of a probability"
        f" {result.largest_difference:.1e} (allowed {TOLERANCE:.0e}), same label for"
        f" {result.same_labels}"
    )


def _run_folder(given: Path) -> RunFolder:
    """A folder, or the newest run of a recipe by its name; it has been begun at least."""
    from contract.run_folder import RunFolder

    runs = _settings().runs_dir / given
    begun = RunFolder(given).config.is_file()
    if not begun and runs.is_dir() and len(given.parts) == 1:
        given = max((path for path in runs.iterdir() if path.is_dir()), default=given)
    if not RunFolder(given).config.is_file():
        raise click.ClickException(
            f"{given} is no run folder, and no recipe of that name has one in {runs.parent}"
        )
    return RunFolder(given)


@cli.command()
def models() -> None:
    """List the exported models and their versions, newest first."""
    from export.versions import list_versions, table

    folder = _settings().models_dir
    versions = list_versions(folder)
    if not versions:
        _say(f"no models in {folder} yet: lince train RECIPE, then lince export RECIPE")
        return
    for line in table(versions):
        click.echo(line)


# --- serve them


@cli.command(
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


@cli.command()
def gateway() -> None:
    """Run the gateway in front of a model server.

    It listens on LINCE_HOST:LINCE_PORT, asks the model server at LINCE_MODEL_SERVER and serves the
    models named in LINCE_MODELS; `lince config` shows these and more. SIGTERM and Ctrl-C finish
    the requests in flight first.
    """
    # The gateway does no linear algebra; NumPy's library for it would keep a thread per core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    settings = _settings()
    if not settings.models:
        raise click.ClickException("LINCE_MODELS is empty: name the models to serve")
    from server.gateway import run as serve

    serve(settings)


@cli.command()
@click.argument("names", nargs=-1)
def up(names: tuple[str, ...]) -> None:
    """Run a model server and a gateway on the models in models/, until Ctrl-C.

    NAMES are the models to serve, all unless given. Takes tensorflow_model_server where it is on
    PATH, else the embedded stand-in.
    """
    from server.up import System

    def show(system: System) -> None:
        click.echo(f"ready at {system.gateway} (model server: grpc {system.model_server})")
        click.echo("Ctrl-C stops")

    _up(names, show)


def _up(names: tuple[str, ...], when_ready: Any, log: Path | None = None) -> None:
    from export.versions import newest_of_each
    from server.errors import StartError
    from server.up import up as start

    settings = _settings()
    versions = newest_of_each(settings.models_dir)
    for version in versions:
        if version.manifest is None:
            _say(f"model {version.name} is left out: version {version.number} has no manifest")
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


@cli.command()
def config() -> None:
    """Show every setting: its variable, the value in force, and what it means."""
    from contract.settings import describe

    for variable, value, text in describe(_settings()):
        click.echo(f"{variable}={value}\n    {text}")


# --- use them


@cli.command()
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

    failed = classify_files(
        url or _settings().gateway, files, model, top_k, as_json=as_json, echo=click.echo
    )
    sys.exit(SOME_FAILED if failed else 0)


@cli.command()
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
    with Client(url or _settings().gateway) as gateway_client:
        name = model or only_model(gateway_client)
        summary = run(gateway_client, folder, out, name, concurrency=concurrency)
    _say(f"{summary.pictures} pictures, {summary.errors} with an error: {out}")
    sys.exit(SOME_FAILED if summary.errors else 0)


# --- the main job


@cli.command()
def run() -> None:
    """Train a first model if there is none, serve all models, and classify test pictures.

    Stays until Ctrl-C. The first model is fashion-cnn where its data can be had, else digits-cnn.
    """
    from export.versions import list_versions
    from server.up import System
    from training import first_model

    settings, log = _settings(), Path("lince.log")
    if not list_versions(settings.models_dir):
        _say(f"no models in {settings.models_dir} yet: training a first one")
        if status := first_model.make(_say, DATA_MISSING):
            sys.exit(status)
    _say("starting the model server and the gateway")

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

    _up((), show, log)


if __name__ == "__main__":
    main()
