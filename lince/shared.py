"""What the verbs share: exit codes, where to speak, the settings, the run that a user means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from contract.run_folder import RunFolder
    from contract.settings import Settings

#: Exit codes besides 0 (done), 1 (failed) and 2 (wrong usage).
DATA_MISSING, SOME_FAILED, INTERRUPTED = 3, 4, 130


def say(line: str) -> None:
    """Tells the user what goes on; results go to stdout."""
    click.echo(line, err=True)


def load_tensorflow() -> None:
    """Loads TensorFlow without what it says of the machine."""
    from contract.processor import cores
    from contract.quiet import quiet_import

    # TensorFlow would count the machine's CPUs, and knows nothing of a container's quota.
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(variable, str(cores()))
    with quiet_import():
        import tensorflow  # noqa: F401


def settings_of_environment() -> Settings:
    """Reads the settings."""
    from contract.settings import Settings

    return Settings.from_environment(os.environ)


def run_folder(given: Path) -> RunFolder:
    """Returns a run folder, or the newest run of a recipe by its name; it has been begun at least.

    Raises:
        click.ClickException: there is none.
    """
    from contract.run_folder import RunFolder

    runs = settings_of_environment().runs_dir / given
    begun = RunFolder(given).config.is_file()
    if not begun and runs.is_dir() and len(given.parts) == 1:
        begun_runs = (path for path in runs.iterdir() if RunFolder(path).config.is_file())
        given = max(begun_runs, default=given)
    if not RunFolder(given).config.is_file():
        raise click.ClickException(
            f"{given} is no run folder, and no recipe of that name has one in {runs.parent}"
        )
    return RunFolder(given)
