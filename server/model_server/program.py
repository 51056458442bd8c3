"""The program: from a command line to a server that is watched over."""

import importlib.metadata
import logging
import sys
from collections.abc import Sequence

from contract.quiet import quiet_import
from server.model_server import batch_parameters, config
from server.model_server.errors import ServingError
from server.model_server.flags import BadFlagError, Options, Parsed, parse, usage
from server.model_server.journal import Journal
from server.model_server.supervise import Quarantine, supervised

PROGRAM = "lince model-server"
FAILED = 255
"""The exit status of TensorFlow Serving for bad flags and failed starts."""


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; see `server.model_server.main`."""
    try:
        parsed = parse(argv)
    except BadFlagError as error:
        return _say(f"{error}\n{usage(PROGRAM)}", FAILED)
    if list(argv[:1]) in (["--help"], ["--help=true"]):
        return _say(usage(PROGRAM), FAILED)
    if parsed.options.version:
        print(versions())
        return 0
    _mention(parsed)
    return supervised(lambda journal, quarantine: _serve(parsed.options, journal, quarantine))


def versions() -> str:
    """The lines of --version, in TensorFlow Serving's form; read without loading TensorFlow."""
    ours, tensorflow = (_installed(name) for name in ("lince", "tensorflow"))
    return f"TensorFlow ModelServer: {ours} (lince)\nTensorFlow Library: {tensorflow}"


def _serve(options: Options, journal: Journal, quarantine: Quarantine) -> int:
    try:
        # Before TensorFlow is loaded, which takes seconds.
        if not journal.config():
            config.from_options(options)
        batch_parameters.from_options(options)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        with quiet_import():
            from server.model_server.serving import serve

        return serve(options, journal, quarantine)
    except ServingError as error:
        return _say(f"Failed to start server. Error: {error}", FAILED)


def _mention(parsed: Parsed) -> None:
    for argument in parsed.unknown:
        _say(f"unknown argument: {argument}", 0)
    for argument in parsed.ignored:
        _say(f"ignored, without effect here: {argument}", 0)


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code
