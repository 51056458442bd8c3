"""Which device TensorFlow computes on, and whether one is left unused."""

from __future__ import annotations

import shutil
import subprocess

import tensorflow as tf

from training.cores import cores


def choose() -> tuple[str, str | None]:
    """Prepares the GPUs where there are any.

    Returns:
        the device in words, and a warning where the machine has a GPU that TensorFlow can't use.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Without this, one process takes all the memory of the card.
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
        return f"GPU: {', '.join(name or 'of unknown name' for name in names)}", None
    unused = _gpus_of_the_machine()
    warning = None
    if unused:
        warning = (
            f"this machine has {unused}, but TensorFlow can't use it: install the extra 'gpu'"
            " (pip install 'lince[gpu]') and check that the driver fits"
        )
    return f"CPU: {cores()} cores", warning


def _gpus_of_the_machine() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
