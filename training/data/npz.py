"""An .npz file in the layout of Keras's mnist.npz is a data set."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from contract.paths import as_text
from training.data import arrays
from training.data.arrays import ArrayPart
from training.data.dataset import DataRequest, DataSet, Say
from training.data.sources import PARTS, SOURCES, Part
from training.errors import DataError

_SUFFIX: dict[Part, str] = {"train": "train", "validation": "val", "test": "test"}
_NEEDED = ("x_train", "y_train", "x_test", "y_test")
_OPTIONAL = ("x_val", "y_val", "class_names")
_HIGHEST = 1_000_000
# A crafted or cut file can make zipfile, zlib and NumPy raise any of these.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def load(
    path: Path,
    request: DataRequest,
    say: Say,
    *,
    name: str | None = None,
    source: str | None = None,
    key: str | None = None,
) -> DataSet:
    """Reads x_train, y_train, x_test, y_test; x_val, y_val and class_names where they are there.

    x_…: uint8 [N, H, W], [N, H, W, 1], [N, H, W, 3] or [N, H, W, 4]; y_…: whole numbers [N] or
    [N, 1]; class_names: text [K]. Without class_names, the labels are the classes of the data set
    that was asked for, where it has as many, else "0", "1" and so on.

    Raises:
        DataError: not such a file; the text names it and the key in it.
    """
    path = path.resolve()
    with _open(path) as archive:
        counts = _check(archive, path, say)
    targets = {part: _targets(path, part, count) for part, count in counts.items()}
    status = path.stat()
    return arrays.load(
        [
            ArrayPart(part=part, targets=targets[part], read=_reader(path, f"x_{_SUFFIX[part]}"))
            for part in PARTS
            if part in targets
        ],
        request,
        say,
        name=name or as_text(path.stem),
        source=source or f"file {as_text(path.name)}",
        labels=_labels(path, request, targets),
        key=key or f"{as_text(path)}\0{status.st_size}\0{status.st_mtime_ns}",
    )


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise DataError(f"{path}: can't be read as .npz: {error}") from error


def _check(archive: zipfile.ZipFile, path: Path, say: Say) -> dict[Part, int]:
    """Checks what the file promises, before anything of it is read; returns pictures per part."""
    keys = [name.removesuffix(".npy") for name in archive.namelist()]
    needed = _NEEDED + (("x_val", "y_val") if {"x_val", "y_val"} & set(keys) else ())
    missing = [key for key in needed if key not in keys]
    if missing:
        raise DataError(f"{path}: has no {', '.join(missing)}; it has {', '.join(sorted(keys))}")
    others = sorted(set(keys) - {*_NEEDED, *_OPTIONAL})
    if others:
        say(f"{path}: left out: {', '.join(others)}")
    counts: dict[Part, int] = {}
    for part, suffix in _SUFFIX.items():
        if f"x_{suffix}" in keys:
            counts[part] = _check_pictures(archive, path, f"x_{suffix}")
    return counts


def _check_pictures(archive: zipfile.ZipFile, path: Path, key: str) -> int:
    try:
        with archive.open(f"{key}.npy") as file:
            header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            shape, _, dtype = header[npy.read_magic(file)](file)
    except _UNREADABLE as error:
        raise DataError(f"{path}: {key} can't be read: {error}") from error
    if dtype != np.uint8:
        raise DataError(f"{path}: {key} is {dtype}; pictures have to be uint8")
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))) or 0 in shape[1:]:
        raise DataError(
            f"{path}: {key} has the shape {list(shape)}; [N, H, W] or [N, H, W, channels] is needed"
        )
    return int(shape[0])


def _array(path: Path, key: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file[key]
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: {key} can't be read: {reason}") from error


def _reader(path: Path, key: str) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    def read() -> Iterator[NDArray[np.uint8]]:
        yield _array(path, key)

    return read


def _targets(path: Path, part: Part, pictures: int) -> NDArray[np.int64]:
    key = f"y_{_SUFFIX[part]}"
    classes = _array(path, key)
    if classes.dtype.kind not in "iu":
        raise DataError(f"{path}: {key} is {classes.dtype}; classes have to be whole numbers")
    if classes.shape not in ((pictures,), (pictures, 1)):
        raise DataError(
            f"{path}: {key} has the shape {list(classes.shape)}; [{pictures}], one for each picture"
            f" of x_{_SUFFIX[part]}, is needed"
        )
    if classes.size and not 0 <= int(classes.min()) <= int(classes.max()) <= _HIGHEST:
        raise DataError(f"{path}: {key} is out of range: {classes.min()} … {classes.max()}")
    return classes.astype(np.int64).reshape(-1)


def _labels(
    path: Path, request: DataRequest, targets: dict[Part, NDArray[np.int64]]
) -> Sequence[str]:
    most = {part: int(numbers.max(initial=-1)) for part, numbers in targets.items()}
    count = 1 + max(most.values())
    labels = _class_names(path)
    if labels is None:
        known = SOURCES[request.name].classes if request.name in SOURCES else ()
        labels = known if len(known) == count else tuple(map(str, range(count)))
    for part, highest in most.items():
        if highest >= len(labels):
            raise DataError(
                f"{path}: y_{_SUFFIX[part]} is out of range: it has class {highest}, but"
                f" class_names has {len(labels)}"
            )
    if len(labels) < 2:
        raise DataError(f"{path}: y_train has a single class; at least 2 are needed")
    return labels


def _class_names(path: Path) -> tuple[str, ...] | None:
    with _open(path) as archive:
        if "class_names.npy" not in archive.namelist():
            return None
    names = _array(path, "class_names")
    labels = tuple(map(str, names.reshape(-1)))
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(labels)) < len(labels):
        raise DataError(f"{path}: class_names has to be a list of different texts")
    return labels
