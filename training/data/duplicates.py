"""Pictures that are twice in a data set, in two of its parts or in two classes."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np

from contract.paths import as_text
from training.data.dataset import DataSet
from training.data.sources import PARTS, Part
from training.data.split import Split
from training.run import Copy

# 128 bits of a cryptographic hash: equal exactly when the pixels are.
_DIGEST_BYTES = 16
_READ_AT_ONCE = 1 << 24


def find_duplicates(data: DataSet, split: Split) -> tuple[tuple[Copy, ...], ...]:
    """Returns the groups of pictures with the same pixels in different parts or classes.

    A picture that the model learned from proves nothing in the test set, and one in two classes
    teaches nothing. Pixels are the model's: files that differ may have the same. Groups and the
    copies in them are in the order of the data set; copies within one part and class don't count.

    Args:
        data: uint8 [N, H, W, C], read once from beginning to end; a regression has no duplicates.
        split: positions outside its three parts are not looked at.
    """
    if not data.labels:
        return ()
    part_of = np.full(len(data.targets), -1)
    for number, part in enumerate(PARTS):
        part_of[getattr(split, part)] = number
    found = []
    for group in _groups(data):
        copies = [position for position in group if part_of[position] >= 0]
        if len({(part_of[position], data.targets[position]) for position in copies}) > 1:
            found.append(tuple(_copy(data, at, PARTS[part_of[at]]) for at in copies))
    return tuple(found)


def _groups(data: DataSet) -> list[list[int]]:
    """Returns the positions of pictures with the same pixels, two or more in each group."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    rows = max(1, _READ_AT_ONCE // max(1, data.inputs[:1].nbytes))
    for start in range(0, len(data.inputs), rows):
        # Rows of bytes of a plain array: slicing a memory-mapped one costs more than the hash.
        block = np.ascontiguousarray(data.inputs[start : start + rows])
        for offset, picture in enumerate(block.reshape(len(block), -1)):
            digest = hashlib.blake2b(picture.data, digest_size=_DIGEST_BYTES).digest()
            groups[digest].append(start + offset)
    return [group for group in groups.values() if len(group) > 1]


def _copy(data: DataSet, position: int, part: Part) -> Copy:
    return Copy(
        picture=str(position) if data.files is None else as_text(data.files[position]),
        part=part,
        label=data.labels[data.targets[position]],
    )
