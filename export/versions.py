"""Model folders on disk: names, version numbers, and the atomic publication of a new version.

models/<name>/<version>/  a version; its name is a whole number
models/<name>/.publishing a version that is being written; model servers do not look at it
models/<name>/.last       the highest number ever given: none is used twice
models/<name>/.lock       held while a version is written
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contract import manifest
from contract.errors import ManifestError
from contract.files import flush, flush_one, write_whole
from contract.manifest import Manifest
from export.errors import ExportError, ModelNameError


@dataclass(frozen=True)
class Version:
    """A published version; `manifest` is None where it has none that can be read."""

    name: str
    number: int
    folder: Path
    manifest: Manifest | None


def list_versions(models: Path) -> list[Version]:
    """Returns every version of every model, by name and then newest first."""
    found = []
    folders = sorted(models.iterdir()) if models.is_dir() else []
    for folder in folders:
        for number in sorted(_numbers(folder), reverse=True):
            path = folder / str(number)
            found.append(Version(folder.name, number, path, _manifest(path)))
    return found


def find(models: Path, name: str, number: int | None = None) -> Version:
    """Returns a version of a model, the newest where no number is given.

    Raises:
        ExportError: there is none; the text lists those that there are.
    """
    versions = list_versions(models)
    for version in versions:
        if version.name == name and number in (None, version.number):
            return version
    there = ", ".join(f"{version.name}/{version.number}" for version in versions) or "none"
    wanted = name if number is None else f"{name}/{number}"
    raise ExportError(f"no model {wanted} in {models}; there are {there}")


def newest_of_each(models: Path) -> list[Version]:
    """Returns the newest version of every model, by name."""
    return list({version.name: version for version in reversed(list_versions(models))}.values())[
        ::-1
    ]


def table(versions: list[Version]) -> Iterator[str]:
    """Yields a line for each version, and one of heads before them."""
    row = "{:20} {:>7}  {:16} {:>8}  {:25} {}"
    yield row.format("model", "version", "recipe", "accuracy", "created", "labels")
    for version in versions:
        known = version.manifest
        if known is None:
            yield row.format(version.name, version.number, "no manifest", "", "", "").rstrip()
            continue
        accuracy = known.metrics.get("accuracy")
        shown = "" if accuracy is None else f"{accuracy:.4f}"
        cells = (version.name, version.number, known.recipe, shown, known.created)
        yield row.format(*cells, ", ".join(known.labels))


def publish(models: Path, name: str, write: Callable[[Path], None]) -> Version:
    """Publishes what `write` puts into the folder it is given as the next version of a model.

    A model server sees the whole version or nothing: it is written beside the others, flushed to
    the disk and renamed. Two that publish the same model at once take turns.

    Raises:
        ModelNameError: the name can't be used.
    """
    if not manifest.MODEL_NAME.fullmatch(name):
        raise ModelNameError(
            f"model name {name!r}: letters, digits, '.', '_' and '-' are allowed, the first a"
            " letter or digit"
        )
    folder = models / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        scratch = folder / ".publishing"
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed export left
        scratch.mkdir()
        try:
            write(scratch)
            flush(scratch)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        number = _next_number(folder)
        write_whole(folder / ".last", f"{number}\n".encode())
        target = folder / str(number)
        scratch.rename(target)
        flush_one(folder)
    return Version(name, number, target, _manifest(target))


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir() or folder.name.startswith("."):
        return []
    return [
        int(entry.name)
        for entry in folder.iterdir()
        if re.fullmatch(r"0|[1-9][0-9]*", entry.name) and entry.is_dir()
    ]


def _next_number(folder: Path) -> int:
    try:
        given = int((folder / ".last").read_text())
    except (OSError, ValueError):  # the first version, or a record lost with the power
        given = 0
    return max([given, *_numbers(folder)]) + 1


def _manifest(folder: Path) -> Manifest | None:
    try:
        return manifest.parse((folder / manifest.FILE).read_bytes())
    except (OSError, ManifestError):
        return None
