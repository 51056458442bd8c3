"""A model image's build context: a Dockerfile, and the versions as the model server wants them.

The same versions give the same context, byte for byte, with the same times and modes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contract.files import flush, flush_one
from contract.manifest import MODEL_NAME
from export.errors import ExportError, ModelNameError
from export.versions import Version

#: Has a shell and cp: an init container copies the files out of the image with them.
BASE_IMAGE = "busybox:1.37.0-musl"

_DOCKERFILE = """\
# {title} as files under /models. Nothing runs in it: an init container copies them out, or
# Kubernetes mounts the image as a volume, for which BASE_IMAGE=scratch is enough.
ARG BASE_IMAGE={base}
FROM ${{BASE_IMAGE}}
LABEL {labels}
COPY --chown=0:0 models /models
# A number, so that Kubernetes can check runAsNonRoot. The files are everybody's to read.
USER 10001:10001
"""


def package(versions: Sequence[Version], folder: Path) -> None:
    """Writes the build context of an image with some versions of one model.

    The folder appears whole or not at all.

    Args:
        versions: at least one, of one model.
        folder: must not be there yet.

    Raises:
        ExportError: the folder is there, or the files hold something that is no file.
        ModelNameError: the model's name can't be used.
    """
    name = versions[0].name
    if not MODEL_NAME.fullmatch(name):
        raise ModelNameError(f"model name {name!r} can't be used")
    if folder.exists() or folder.is_symlink():
        raise ExportError(f"{folder} is there already: remove it, or choose another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)  # what was killed
    newest = max(versions, key=lambda version: version.number)
    scratch.mkdir()
    try:
        for version in versions:
            _copy(version.folder, scratch / "models" / name / str(version.number))
        (scratch / "Dockerfile").write_text(_dockerfile(versions, newest), encoding="utf-8")
        _make_alike(scratch, _seconds(newest))
        flush(scratch)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    flush_one(folder.parent)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        elif path.is_file():
            shutil.copyfile(path, copy)
        else:
            raise ExportError(f"{path} is neither a file nor a folder")


def _make_alike(folder: Path, seconds: int) -> None:
    """Gives all files the same modes and times; what is deeper first, since it changes folders."""
    for path in sorted((folder, *folder.rglob("*")), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (seconds, seconds))


def _seconds(version: Version) -> int:
    """When the version was made; the beginning of time where nobody knows."""
    try:
        made = datetime.fromisoformat(version.manifest.created) if version.manifest else None
    except ValueError:
        made = None
    if made is None:
        return 0
    return int((made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp())


def _dockerfile(versions: Sequence[Version], newest: Version) -> str:
    numbers = sorted(version.number for version in versions)
    title = f"{newest.name}, version{'s' if len(numbers) > 1 else ''} "
    title += ", ".join(map(str, numbers))
    labels = " \\\n      ".join(
        f'org.opencontainers.image.{key}="{_quoted(value)}"'
        for key, value in _labels(newest, title).items()
    )
    return _DOCKERFILE.format(title=title, base=BASE_IMAGE, labels=labels)


def _labels(newest: Version, title: str) -> Mapping[str, str]:
    labels = {"title": newest.name, "description": title, "version": str(newest.number)}
    if known := newest.manifest:
        labels |= {"created": known.created, "revision": known.source_revision}
    return labels


def _quoted(value: str) -> str:
    return "".join(_escaped(value))


def _escaped(value: str) -> Iterator[str]:
    for character in value:
        if character.isprintable():
            yield f"\\{character}" if character in '\\"$' else character
