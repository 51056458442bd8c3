"""A folder with one sub-folder per class is a data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from contract.errors import ImageError
from contract.paths import as_text
from contract.pixels import SUFFIXES, PixelSpec, decode
from training.cores import cores
from training.data.cache import complete_folder
from training.data.dataset import DataSet, Say
from training.errors import DataError

_SHOWN = 10


def load(root: Path, spec: PixelSpec, cache: Path, say: Say, *, name: str | None = None) -> DataSet:
    """Reads a folder of class folders; labels are their names in alphabetical order.

    Each picture is decoded once, through the contract, into a uint8 array in the cache; the next
    time, and in every epoch, it streams from there. Files that are no pictures by their suffix are
    counted and left out, hidden files and folders without a word.

    Raises:
        DataError: no such folder, fewer than two classes, a class without pictures or whose name
            is no UTF-8, or pictures that can't be decoded: each is named.
    """
    root = root.resolve()
    classes = _class_folders(root)
    files, targets, ignored = _files(classes)
    if ignored:
        say(f"{ignored} files in {root} are no pictures by their suffix and are left out")
    key = _key(root, files, spec)
    target = cache / "decoded" / f"{root.name}-{key}"
    if (target / "images.npy").is_file():
        say(f"{root}: {len(files)} pictures, already decoded in {target}")
    else:
        with complete_folder(target) as scratch:
            _decode_all(files, spec, scratch / "images.npy")
            (scratch / "files.json").write_text(json.dumps([str(file) for file in files]))
    return DataSet(
        name=name or as_text(root.name),
        source=f"folder {as_text(root.name)}",
        labels=tuple(folder.name for folder in classes),
        images=np.load(target / "images.npy", mmap_mode="r"),
        targets=np.array(targets, np.int64),
        files=tuple(files),
    )


def _class_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
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


def _files(classes: list[Path]) -> tuple[list[Path], list[int], int]:
    """Returns the picture files, the position of each one's class, and how many were left out."""
    files: list[Path] = []
    targets: list[int] = []
    ignored = 0
    for number, folder in enumerate(classes):
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
        files += pictures
        targets += [number] * len(pictures)
        ignored += len(found) - len(pictures)
    return files, targets, ignored


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _key(root: Path, files: Iterable[Path], spec: PixelSpec) -> str:
    digest = hashlib.sha256(f"{root}\0{spec.fingerprint}".encode(errors="surrogateescape"))
    for file in files:
        status = file.stat()
        digest.update(
            f"\0{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()[:16]


def _decode_all(files: list[Path], spec: PixelSpec, target: Path) -> None:
    if spec.height is None or spec.width is None:
        raise DataError("a model without a fixed input size can't be trained from a folder")
    shape = (len(files), spec.height, spec.width, spec.channels)
    images = open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    bad: list[str] = []

    def decode_into(number: int) -> None:
        try:
            images[number] = decode(files[number], spec)
        except (ImageError, OSError) as error:
            bad.append(f"{files[number]}: {error}")

    # Pillow lets go of the interpreter's lock while it decodes, so threads are enough.
    with ThreadPoolExecutor(cores()) as pool:
        work = pool.map(decode_into, range(len(files)))
        for _ in tqdm(
            work, total=len(files), unit=" pictures", desc="decoding", leave=False, disable=None
        ):
            pass
    if bad:
        more = f"\nand {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise DataError("pictures that can't be used:\n" + "\n".join(sorted(bad)[:_SHOWN]) + more)
    images.flush()
