"""A folder with one sub-folder per class is a data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.errors import ImageError
from contract.paths import as_text
from contract.pixels import SUFFIXES, decode
from training.data import decoded
from training.data.dataset import DataRequest, DataSet, Say, choose_classes
from training.data.sources import PARTS, Part
from training.errors import DataError

_SHOWN = 10
#: What the folders of a data set with its own split may be called, in lower case.
_PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_BAD = "bad.json"


@dataclass(frozen=True, kw_only=True)
class _Picture:
    file: Path
    part: Part
    target: int


def load(root: Path, request: DataRequest, say: Say) -> DataSet:
    """Reads a folder of class folders; labels are their names in alphabetical order.

    A folder of `train` and `validation` or `test` (or both; `training` and `val` do too), each of
    which is a folder of class folders, is a data set with its own split.

    Each picture is decoded once, through the contract, into a uint8 array in the cache; the next
    time, and in every epoch, it streams from there. Files that are no pictures by their suffix are
    counted and left out, hidden files and folders without a word.

    Raises:
        DataError: no such folder, fewer than two classes, other classes in one part than in
            another, a class without pictures or whose name is no UTF-8, pictures that can't be
            decoded (unless bad ones are to be skipped), or no room on the disk: each is named.
    """
    root = root.resolve()
    name = as_text(root.name)
    parts = _parts(root) or {"train": root}
    return load_parts(parts, request, say, name=name, source=f"folder {name}")


def load_parts(
    roots: Mapping[Part, Path], request: DataRequest, say: Say, *, name: str, source: str
) -> DataSet:
    """Reads a folder of class folders for each part of a data set, as `load` does.

    Raises:
        DataError: as `load`.
    """
    labels, pictures, ignored = _list(roots, request, name)
    if ignored:
        where = roots["train"] if len(roots) == 1 else roots["train"].parent
        say(f"{ignored} files in {where} are no pictures by their suffix and are left out")
    folder = decoded.decoded_folder(request, name, _key(roots, pictures, request))
    if folder.is_dir():
        say(f"{roots['train']}: {len(pictures)} pictures, already decoded in {folder}")
    else:
        _decode(pictures, request, folder)
    bad = {int(number): why for number, why in json.loads((folder / _BAD).read_text()).items()}
    skipped = _skip(pictures, bad, request, say)
    good = [picture for number, picture in enumerate(pictures) if number not in bad]
    _check_classes(good, labels, roots)
    sizes = {part: sum(picture.part == part for picture in good) for part in PARTS}
    return DataSet(
        name=name,
        source=source,
        labels=labels,
        inputs=decoded.read(folder, (len(good), *request.shape)),
        targets=np.array([picture.target for picture in good], np.int64),
        own_validation=sizes["validation"],
        own_test=sizes["test"],
        files=tuple(picture.file for picture in good),
        skipped=skipped,
    )


def _entries(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    return sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))


def _parts(root: Path) -> dict[Part, Path]:
    """Returns the folder of each part; nothing if the folders in `root` are classes."""
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    named = [folder for folder in folders if folder.name.lower() in _PART_NAMES]
    kinds = [_PART_NAMES[folder.name.lower()] for folder in named]
    if len(named) < 2 or ("train" not in kinds and len(named) < len(folders)):
        return {}  # a class may be called train
    if "train" not in kinds:
        raise DataError(f"{root}: has no folder train beside {named[0].name}")
    if len(set(kinds)) < len(kinds):
        names = ", ".join(folder.name for folder in named)
        raise DataError(f"{root}: {names}: two of these are the same part of the data set")
    others = [as_text(folder.name) for folder in folders if folder not in named]
    if others:
        raise DataError(
            f"{root}: has {', '.join(folder.name for folder in named)} like a data set with its own"
            f" split, but also {', '.join(others[:_SHOWN])}"
        )
    return {part: named[kinds.index(part)] for part in PARTS if part in kinds}


def _list(
    roots: Mapping[Part, Path], request: DataRequest, name: str
) -> tuple[tuple[str, ...], list[_Picture], int]:
    """Returns the labels, the pictures, and how many files were left out."""
    classes = {part: _class_folders(root) for part, root in roots.items()}
    labels = {
        part: choose_classes([folder.name for folder in folders], request.classes, name)
        for part, folders in classes.items()
    }
    for part, own in labels.items():
        differing = sorted(set(own) ^ set(labels["train"]))
        if differing:
            raise DataError(
                f"{roots[part].parent}: {roots['train'].name} and {roots[part].name} have different"
                f" classes: {', '.join(differing)} only in one of them"
            )
    pictures: list[_Picture] = []
    ignored = 0
    for part, folders in classes.items():
        chosen = [folder for folder in folders if folder.name in labels[part]]
        for number, folder in enumerate(chosen):
            files, others = _files(folder)
            pictures += [_Picture(file=file, part=part, target=number) for file in files]
            ignored += others
    return labels["train"], pictures, ignored


def _class_folders(root: Path) -> list[Path]:
    entries = _entries(root)
    classes = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)
    if not classes and any(_is_picture(entry) for entry in entries):
        raise DataError(
            f"{root}: holds pictures, not class folders; give the folder above it, which has one"
            " sub-folder per class"
        )
    if not classes:
        raise DataError(f"{root}: has no sub-folders; one per class is needed")
    if len(classes) == 1:
        raise DataError(f"{root}: has a single class, {classes[0].name!r}; at least 2 are needed")
    for folder in classes:
        if as_text(folder.name) != folder.name:
            raise DataError(f"{as_text(folder)}: the name of a class has to be UTF-8")
    return classes


def _files(folder: Path) -> tuple[list[Path], int]:
    """Returns a class's picture files, and how many others lie there."""
    # Hidden folders hold thumbnails and copies: the same picture would be in two sets.
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    pictures = [path for path in found if _is_picture(path)]
    if not pictures:
        raise DataError(f"{folder}: the class folder has no pictures")
    return pictures, len(found) - len(pictures)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _key(roots: Mapping[Part, Path], pictures: Iterable[_Picture], request: DataRequest) -> str:
    text = [request.pixels.fingerprint, *(f"{part}={root}" for part, root in roots.items())]
    for picture in pictures:
        status = picture.file.stat()
        text += [str(picture.file), str(status.st_size), str(status.st_mtime_ns)]
    return hashlib.sha256("\0".join(text).encode(errors="surrogateescape")).hexdigest()[:16]


def _decode(pictures: Sequence[_Picture], request: DataRequest, folder: Path) -> None:
    shape = (len(pictures), *request.shape)
    spec, nothing = request.pixels, np.empty((0, *request.shape), np.uint8)
    bad: dict[int, str] = {}

    def make(number: int) -> NDArray[np.uint8]:
        try:
            return decode(pictures[number].file, spec)[np.newaxis]
        except (ImageError, OSError) as error:
            bad[number] = str(error)
            return nothing

    with decoded.new_folder(folder, shape) as scratch:
        decoded.write(scratch, range(len(pictures)), make, len(pictures))
        if bad and not request.skip_bad:
            raise _unusable(pictures, bad)
        (scratch / _BAD).write_text(json.dumps(bad, sort_keys=True))


def _skip(
    pictures: Sequence[_Picture], bad: Mapping[int, str], request: DataRequest, say: Say
) -> tuple[str, ...]:
    """Returns the pictures that are left out, each with the reason."""
    if bad and not request.skip_bad:
        raise _unusable(pictures, bad)
    skipped = tuple(_lines(pictures, bad))
    if skipped:
        say(f"{len(skipped)} files that can't be used are left out, the first is {skipped[0]}")
    return skipped


def _lines(pictures: Sequence[_Picture], bad: Mapping[int, str]) -> Iterator[str]:
    for number in sorted(bad):
        yield f"{as_text(pictures[number].file)}: {bad[number]}"


def _unusable(pictures: Sequence[_Picture], bad: Mapping[int, str]) -> DataError:
    lines = list(_lines(pictures, bad))
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return DataError(
        "\n".join(
            ["pictures that can't be used:", *lines[:_SHOWN], *more]
            + ["--skip-bad goes on without them"]
        )
    )


def _check_classes(
    good: Iterable[_Picture], labels: Sequence[str], roots: Mapping[Part, Path]
) -> None:
    there = {(picture.part, picture.target) for picture in good}
    for part, root in roots.items():
        for number, label in enumerate(labels):
            if (part, number) not in there:
                raise DataError(f"{root / label}: none of the class's pictures can be used")
