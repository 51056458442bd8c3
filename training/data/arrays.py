"""Pictures that come as arrays, brought to a model's pixels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.pixels import to_pixels
from training.data import decoded
from training.data.dataset import DataRequest, DataSet, Say, choose_classes
from training.data.sources import PARTS, Part
from training.errors import DataError

#: Bytes of pixels that a thread makes at a time.
_BLOCK = 1 << 23


@dataclass(frozen=True, kw_only=True)
class ArrayPart:
    """A part of a data set.

    Attributes:
        part: which one.
        targets: int64 [n].
        read: gives the pictures, uint8 [k, H, W] or [k, H, W, C], which are n together; called only
            when they are not in the cache.
    """

    part: Part
    targets: NDArray[np.int64]
    read: Callable[[], Iterable[NDArray[np.uint8]]]


def load(
    parts: Sequence[ArrayPart],
    request: DataRequest,
    say: Say,
    *,
    name: str,
    source: str,
    labels: Sequence[str],
    key: str,
) -> DataSet:
    """Returns a data set whose pictures come as arrays.

    They are made once, in threads and through the contract, into a uint8 array in the cache.

    Args:
        parts: with the training pictures first, then validation, then test.
        name, source, labels: of the data set.
        key: changes when the pictures do.

    Raises:
        DataError: a chosen class does not exist or has no training pictures; no room on the disk.
    """
    chosen = choose_classes(labels, request.classes, name)
    new_number = np.array([chosen.index(x) if x in chosen else -1 for x in labels], np.int64)
    numbers = [new_number[part.targets] for part in parts]
    targets = [number[number >= 0] for number in numbers]
    sizes = {
        kind: sum(len(t) for p, t in zip(parts, targets, strict=True) if p.part == kind)
        for kind in PARTS
    }
    _check_training(targets, sizes["train"], chosen, name)
    shape = (sum(sizes.values()), *request.shape)
    digest = hashlib.sha256("\0".join((key, request.pixels.fingerprint, *chosen)).encode())
    folder = decoded.decoded_folder(request, name, digest.hexdigest()[:16])
    if folder.is_dir():
        say(f"{name}: {shape[0]:,} pictures, already decoded in {folder}")
    else:
        with decoded.new_folder(folder, shape) as scratch:
            blocks = _blocks(parts, [number >= 0 for number in numbers], request.shape)
            decoded.write(scratch, blocks, lambda block: _make(block, request), shape[0])
    return DataSet(
        name=name,
        source=source,
        labels=chosen,
        inputs=decoded.read(folder, shape),
        targets=np.concatenate(targets),
        own_validation=sizes["validation"],
        own_test=sizes["test"],
    )


def _check_training(
    targets: Sequence[NDArray[np.int64]], size: int, labels: Sequence[str], name: str
) -> None:
    counts = np.bincount(np.concatenate(targets)[:size], minlength=len(labels))
    if not counts.all():
        raise DataError(
            f"{name}: class {labels[int(np.argmin(counts))]!r} has no pictures to learn"
        )


def _blocks(
    parts: Sequence[ArrayPart], kept: Sequence[NDArray[np.bool_]], shape: tuple[int, int, int]
) -> Iterator[NDArray[np.uint8]]:
    size = max(1, _BLOCK // math.prod(shape))
    for part, keep in zip(parts, kept, strict=True):
        start = 0
        for pictures in part.read():
            for at in range(0, len(pictures), size):
                block = pictures[at : at + size]
                yield block[keep[start + at : start + at + size]]
            start += len(pictures)


def _make(block: NDArray[np.uint8], request: DataRequest) -> NDArray[np.uint8]:
    if block.ndim == 3:
        block = block[:, :, :, np.newaxis]
    if block.shape[1:] == request.shape or not len(block):
        return block
    if block.shape[3] == 1:
        block = block[:, :, :, 0]
    spec = request.pixels
    return np.stack([to_pixels(Image.fromarray(picture), spec) for picture in block])
