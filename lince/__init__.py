"""The command line: each verb imports its package only when it is called."""

from __future__ import annotations

import os
import signal
import sys

import click

from lince import keys, look, main_job, make, package, promote, score, serve, tune, use
from lince.shared import DATA_MISSING, INTERRUPTED, say

_GROUPS: dict[str, tuple[click.Command, ...]] = {
    "The main job": (main_job.run,),
    "Make models": (
        make.train,
        make.resume,
        make.evaluate,
        make.export,
        make.verify,
        make.models,
    ),
    "Look at them": (look.recipes, look.datasets, look.preview, look.report, look.compare),
    "Serve them": (serve.up, serve.model_server, serve.gateway, keys.key, tune.tune, serve.config),
    "Roll them out": (package.package, promote.promote, promote.rollback),
    "Use them": (use.classify, score.score),
}

# Which extra brings a package: a gateway or a client is installed without TensorFlow.
_EXTRAS = {
    "flask": "gateway",
    "fsspec": "score",
    "granian": "gateway",
    "grpc_health": "model-server",
    "httpx": "client",
    "jinja2": "train",
    "keras": "train",
    "matplotlib": "train",
    "pyarrow": "score",
    "sklearn": "train",
    "tensorflow": "train",
    "tensorflow_serving": "model-server",
}


class _Commands(click.Group):
    """Lists the commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, verbs in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(verb.name), verb.get_short_help_str(70)) for verb in verbs]
                )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lince")
def cli() -> None:
    """Lince trains image classifiers, exports them as SavedModels that describe themselves, serves
    them with TensorFlow Serving (or its embedded stand-in) and answers over HTTP.

    \b
    From nothing to an answer:
      lince train flowers-cnn           fit, and evaluate on pictures it has not seen
      lince export flowers-cnn          publish as the next version in models/
      lince up                          model server and gateway
      lince classify picture.png        ask

    Settings are environment variables LINCE_*; `lince config` shows them all.
    """


for _verbs in _GROUPS.values():
    for _verb in _verbs:
        cli.add_command(_verb)


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
        say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        say(f"Error: this needs {error.name}: pip install 'lince[{extra}]'")
        sys.exit(1)
    except Exception as error:
        if not _is_expected(error):
            raise
        say(f"Error: {error}")
        sys.exit(DATA_MISSING if _is_of_data(error) else 1)


def _is_expected(error: Exception) -> bool:
    """Our own errors and the system's; told by their module, so that none has to be imported."""
    package = type(error).__module__.partition(".")[0]
    ours = package in ("contract", "training", "export", "server", "client")
    return isinstance(error, OSError) or ours


def _is_of_data(error: Exception) -> bool:
    return any(kind.__name__ == "DataError" for kind in type(error).__mro__)
