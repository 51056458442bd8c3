"""What lies on disk: the versions under each base path, and which of them to serve."""

import logging
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from server.model_server.config import ModelConfig
from server.model_server.repeated import Complaints, Repeated

log = logging.getLogger(__name__)

Aspired = Mapping[str, Mapping[int, str]]
"""For each model the version numbers that should be served, with their folders."""

_LARGEST = 2**63 - 1


def versions_on_disk(base_path: str) -> dict[int, str]:
    """The entries of a folder whose names are version numbers (`00000123` is 123).

    Raises:
        OSError: The folder can't be listed.
    """
    found: dict[int, str] = {}
    for entry in sorted(Path(base_path).iterdir()):
        if re.fullmatch(r"[0-9]+", entry.name) and int(entry.name) <= _LARGEST:
            found.setdefault(int(entry.name), str(entry))
    return found


def look(
    models: Sequence[ModelConfig], bad: Collection[tuple[str, int]] = ()
) -> dict[str, dict[int, str]]:
    """One look at the disk: the versions to serve of every model.

    Args:
        models: The models.
        bad: Versions that won't load. Others are chosen instead of them, and besides them they are
            still given, so that their status tells.

    Raises:
        OSError: A base path is missing. TensorFlow Serving then changes nothing for any model,
            so neither does this: a folder that is away for a moment must not stop its model.
    """
    aspired = {}
    for model in models:
        found = versions_on_disk(model.base_path)
        good = [number for number in found if (model.name, number) not in bad]
        chosen = {*model.policy(good), *set(model.policy(found)).difference(good)}
        aspired[model.name] = {number: found[number] for number in chosen}
    return aspired


class Poller:
    """Looks at the disk now and then, in a thread, and hands on what should be served.

    Args:
        wait_seconds: Between two looks; 0 looks only when the models change, negative never.
        aspire: Called from the thread with the outcome of each look.
        bad: Versions that won't load; see `look`.
    """

    def __init__(
        self,
        wait_seconds: float,
        aspire: Callable[[Aspired], None],
        bad: Collection[tuple[str, int]] = (),
    ) -> None:
        self._bad = bad
        self._models: tuple[ModelConfig, ...] = ()
        self._looking = threading.Lock()
        self._wait_seconds = wait_seconds
        self._aspire = aspire
        self._complaints = Complaints(log, logging.WARNING)
        repeated = Repeated("poll-file-system", wait_seconds, self.look_once)
        self.start, self.stop = repeated.start, repeated.stop

    def watch(self, models: Sequence[ModelConfig]) -> None:
        """Look for these models from now on, at once unless it never looks; others go away."""
        with self._looking:
            gone = {model.name for model in self._models} - {model.name for model in models}
            self._models = tuple(models)
            # Apart from the look, which changes nothing as long as any folder is missing.
            self._aspire({name: {} for name in gone})
        if self._wait_seconds >= 0:
            self.look_once()

    def look_once(self) -> None:
        """Look at the disk and hand on the outcome; a missing folder is logged once."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        complaint = ""
        try:
            aspired = look(self._models, self._bad)
        except OSError as error:
            complaint = f"no look at the models: {error}"
        else:
            self._aspire(aspired)
            empty = [name for name, versions in aspired.items() if not versions]
            if empty:
                complaint = f"no version to serve of: {', '.join(empty)}"
        self._complaints.say(complaint)
