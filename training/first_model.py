"""The first model on a fresh machine, made with the command line's own verbs."""

from __future__ import annotations

import signal
import subprocess
import sys

from training.data.dataset import Say

#: The document fits 5; a slow machine, too, is to be ready in four minutes.
_EPOCHS = 2


def make(say: Say, data_missing: int) -> int:
    """Trains and exports fashion-cnn where its data can be had, else digits-cnn.

    Args:
        data_missing: the exit code with which `lince train` says that it has no data.

    Returns:
        the exit code of what failed, or 0.
    """
    say(
        f"fashion-cnn with {_EPOCHS} epochs instead of the document's 5, to be ready sooner;"
        " `lince train fashion-cnn` fits all of them"
    )
    recipe = "fashion-cnn"
    status = _lince("train", recipe, "--epochs", str(_EPOCHS))
    if status == data_missing:
        recipe = "digits-cnn"
        say("its data can't be had here: digits-cnn instead, which needs no download")
        status = _lince("train", recipe)
    return status or _lince("export", recipe)


def _lince(*arguments: str) -> int:
    """Runs a verb in a process of its own, so that TensorFlow's memory goes with it."""
    # Ctrl-C reaches both processes, SIGTERM this one alone; either way, this one waits for the
    # other to end in its own way.
    process = subprocess.Popen([sys.executable, "-m", "lince", *arguments])
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
