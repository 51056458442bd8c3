"""The verbs that move a model's labels from version to version, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lince.shared import say, settings_of_environment

if TYPE_CHECKING:
    from export.rollout.change import Options, Store
    from export.rollout.plan import Serving

#: The exit code where the version is worse than the stable one.
REFUSED = 5

_COMMON: list[Callable[[Callable[..., None]], Callable[..., None]]] = [
    click.option(
        "--config",
        required=True,
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="The model configuration file that the model servers poll; - reads it from stdin.",
    ),
    click.option(
        "--model-server",
        "addresses",
        multiple=True,
        metavar="ADDRESS",
        help="Of each model server, or a name for all; LINCE_MODEL_SERVER unless given.",
    ),
    click.option(
        "--wait",
        type=click.FloatRange(0, min_open=True),
        default=180.0,
        show_default=True,
        help="Seconds for a step to be live everywhere.",
    ),
    click.option(
        "--settle",
        type=click.FloatRange(0),
        default=5.0,
        show_default=True,
        help="Seconds before a version without a label is dropped: more than LINCE_REFRESH_SECONDS"
        " of every gateway.",
    ),
    click.option(
        "--kubernetes",
        is_flag=True,
        help="Write nothing: print each step as the ConfigMap's patch, a line of JSON.",
    ),
    click.option(
        "--key",
        default="models.config",
        show_default=True,
        help="Of the configuration in the ConfigMap's data.",
    ),
]


def _with_common(verb: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_COMMON):
        verb = option(verb)
    return verb


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(0), required=False)
@click.option("--canary", is_flag=True, help="Try VERSION beside the stable one.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.01,
    show_default=True,
    help="How much less accurate than the stable one it may be.",
)
@click.option(
    "--prometheus", default="", metavar="URL", help="Compare the canary's traffic there, too."
)
@click.option("--window", default="15m", show_default=True, help="How far to look back there.")
@click.option("--force", is_flag=True, help="Although the version is worse.")
@_with_common
def promote(
    name: str,
    version: int | None,
    canary: bool,
    tolerance: float,
    prometheus: str,
    window: str,
    force: bool,
    **common: Any,
) -> None:
    """Give a version of a model the label stable, or canary, and wait until it is live.

    Without VERSION the canary becomes the stable one. The version is loaded everywhere before any
    label moves, so no request fails. A version whose test accuracy, or whose traffic, is worse than
    the stable one's is refused. What was stable stays loaded as previous, for lince rollback.

    \b
      lince promote flowers-cnn 1 --config models.config             the first time
      lince promote flowers-cnn 2 --canary --config models.config    LINCE_CANARY's share goes to 2
      lince promote flowers-cnn --config models.config               now all of it
      lince rollback flowers-cnn --config models.config              back to 1

    The model servers run with --model_config_file_poll_wait_seconds and
    --allow_version_labels_for_unavailable_models. Set LINCE_CANARY for the model before the first
    canary: a gateway without it sends everything to the newest version. The labels are edited in
    the file; its comments and other models stay as they are.

    \b
    Exit codes: 0 live everywhere, 1 not (the file is as it was before), 5 the version is worse.
    """
    from export.rollout import plan
    from export.rollout.errors import WorseError

    options = replace(
        _options(**common), tolerance=tolerance, prometheus=prometheus, window=window, force=force
    )

    def target(now: Serving) -> Serving:
        return plan.tried(now, version) if canary else plan.promoted(now, version)

    try:
        _change(name, target, _store(**common), options)
    except WorseError as error:
        say(f"Error: {error}")
        sys.exit(REFUSED)


@click.command()
@click.argument("name")
@_with_common
def rollback(name: str, **common: Any) -> None:
    """Take a model's canary away; where there is none, go back to the version before.

    The labels move first and the version is dropped afterwards, so no request fails. Should a model
    server not follow, the others do all the same: call it again once that one is back.

    \b
      lince rollback flowers-cnn --config models.config

    \b
    Exit codes: 0 live everywhere, 1 not (yet) on all, or there is nothing to go back to.
    """
    from export.rollout.plan import rolled_back

    _change(name, rolled_back, _store(**common), replace(_options(**common), undo=False))


def _change(
    name: str, target_of: Callable[[Serving], Serving], store: Store, options: Options
) -> None:
    from export.rollout.change import change

    target = change(name, target_of, store, options, say)
    for label, number in sorted(target.labels.items()):
        say(f"{name}: {label} is version {number}")


def _store(config: Path, kubernetes: bool, key: str, **_: Any) -> Store:
    from export.rollout.change import as_patches, in_file, read_text

    if not kubernetes:
        if str(config) == "-":
            raise click.UsageError("--config - can't be written to: it goes with --kubernetes")
        return in_file(config)
    text = sys.stdin.read() if str(config) == "-" else read_text(config)
    return as_patches(text, key, click.echo)


def _options(addresses: tuple[str, ...], wait: float, settle: float, **_: Any) -> Options:
    from contract.wire import tls
    from export.rollout.change import Options

    settings = settings_of_environment()
    given = addresses or tuple(settings.model_server.split(","))
    return Options(given, tls.read(settings), wait, settle)
