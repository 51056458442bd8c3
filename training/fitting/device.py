"""Which devices a fit runs on, and how it is spread over them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from contract.processor import cores
from training.errors import DeviceError


@dataclass(frozen=True)
class Device:
    """Where a fit runs.

    Attributes:
        name: in words.
        strategy: of TensorFlow; the default one for a single device.
        notes: what the user should know.
        chief: whether this process writes the run folder; of several machines one does.
    """

    name: str
    strategy: tf.distribute.Strategy
    notes: tuple[str, ...] = ()
    chief: bool = True

    @property
    def several_machines(self) -> bool:
        """Whether other processes fit the same model."""
        return isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)


def choose(wanted: Literal["auto", "cpu", "gpu"] = "auto", replicas: int = 1) -> Device:
    """Prepares the devices; has to be called before TensorFlow computes anything.

    Several machines where TF_CONFIG names them, else all GPUs of this one, else its processors.

    Args:
        wanted: auto takes GPUs where there are any.
        replicas: with processors alone: divide them into this many logical devices.

    Raises:
        DeviceError: there is no GPU and one was asked for, the options don't go together, or
            TF_CONFIG is wrong.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if replicas > 1 and wanted != "cpu":
        raise DeviceError("--replicas divides the processor: it goes with --device cpu")
    unused = "" if gpus else _gpus_of_the_machine()
    if wanted == "gpu" and not gpus:
        raise DeviceError(f"--device gpu: TensorFlow finds no GPU. {_advice(unused)}")
    if wanted == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    for gpu in gpus:
        # Without this, one process takes all the memory of the card.
        tf.config.experimental.set_memory_growth(gpu, True)
    if wanted == "cpu":
        notes: tuple[str, ...] = ()
    else:
        notes = () if gpus else (f"no GPU: {_advice(unused)}",)
    if (several := _several_machines(notes)) is not None:
        return several
    if gpus:
        return _on_gpus(gpus, notes)
    return _on_processors(replicas, notes)


def _on_gpus(gpus: list[tf.config.PhysicalDevice], notes: tuple[str, ...]) -> Device:
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    name = f"GPU: {', '.join(name or 'of unknown name' for name in names)}"
    if len(gpus) == 1:
        return Device(name, tf.distribute.get_strategy(), notes)
    return Device(name, tf.distribute.MirroredStrategy(), notes)


def _on_processors(replicas: int, notes: tuple[str, ...]) -> Device:
    if replicas == 1:
        return Device(f"CPU: {cores()} cores", tf.distribute.get_strategy(), notes)
    (processor, *_) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError as error:
        raise DeviceError(f"{replicas} replicas: TensorFlow has started already") from error
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(replicas)])
    return Device(f"CPU: {cores()} cores as {replicas} devices", strategy, notes)


def _several_machines(notes: tuple[str, ...]) -> Device | None:
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        workers = [*cluster.get("chief", []), *cluster.get("worker", [])]
        number = int(task["index"]) + (task["type"] == "worker") * len(cluster.get("chief", []))
        workers[number]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DeviceError(
            "TF_CONFIG: not of the form"
            ' {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}:'
            f" {error!r}"
        ) from error
    if len(workers) < 2:
        return None
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as error:
        raise DeviceError(f"TF_CONFIG: the machines did not find each other: {error}") from error
    name = f"machine {number + 1} of {len(workers)}, {strategy.num_replicas_in_sync} devices in all"
    return Device(name, strategy, notes, chief=number == 0)


def _advice(unused: str) -> str:
    if not unused:
        return "this machine shows none"
    return (
        f"This machine has {unused}, but TensorFlow can't use it: install the extra 'gpu'"
        " (pip install 'lince[gpu]') and check that the driver fits"
    )


def _gpus_of_the_machine() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
