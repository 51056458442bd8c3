"""Lince and the limit on one recipe and its pictures, side by side."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.whole import pictures
from tests.bench.whole.limit import Limit, limit
from tests.bench.whole.lince_up import lince
from tests.bench.whole.models import made
from tests.bench.whole.systems import Running, all_cores, running

_PICTURES = {"flowers-cnn": pictures.photographs, "fashion-cnn": pictures.thumbnails}


@dataclass(frozen=True)
class Beside:
    """Both of them, started, and a folder that goes with them."""

    machine: Limit
    lince: Running
    scratch: Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds which recipe, and where to keep what is made of it."""
    parser.add_argument("--recipe", choices=_PICTURES, default="flowers-cnn")
    parser.add_argument("--work", type=Path, help="keep model and pictures here, and reuse them")


@contextmanager
def beside_the_limit(options: argparse.Namespace) -> Iterator[Beside]:
    """Starts both, as the options of `add_options` say."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        folder = options.work or scratch
        model = made(options.recipe, folder / "plain")
        files = _PICTURES[options.recipe](folder / options.recipe)
        machine = stack.enter_context(limit(model, files, all_cores()))
        started = stack.enter_context(running(lince(model, scratch), files, scratch))
        yield Beside(machine, started, scratch)
