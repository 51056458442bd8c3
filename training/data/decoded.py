"""The cache of decoded pictures: one file of uint8 pixels, from which every epoch streams."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from contract.processor import cores
from training.data.cache import complete_folder, lacking_space
from training.data.dataset import DataRequest
from training.errors import DataError

_PIXELS = "pixels.u8"
_Block = TypeVar("_Block")


def decoded_folder(request: DataRequest, name: str, key: str) -> Path:
    """Returns where the decoded pictures of a data set lie in the cache."""
    # Names of 255 bytes are the most that file systems take, and the key matters more.
    return request.cache / "decoded" / f"{name[:40]}-{key}"


@contextlib.contextmanager
def new_folder(target: Path, shape: tuple[int, ...]) -> Iterator[Path]:
    """Gives a scratch folder that becomes `target`, complete or not at all.

    Args:
        shape: of the uint8 array that goes into it.

    Raises:
        DataError: the disk has no room for it, or can't be written.
    """
    needed = math.prod(shape)
    lacks = lacking_space(target.parent, needed)
    if lacks:
        raise DataError(f"{shape[0]:,} pictures of {'×'.join(map(str, shape[1:]))} bytes: {lacks}")
    try:
        with complete_folder(target) as scratch:
            yield scratch
    except OSError as error:
        raise DataError(f"decoded pictures can't be kept in {target.parent}: {error}") from error


def write(
    scratch: Path,
    blocks: Iterable[_Block],
    make: Callable[[_Block], NDArray[np.uint8]],
    count: int,
) -> None:
    """Makes pixels in threads and writes them one after the other.

    Written rather than mapped into memory: a mapped file on a full disk kills the process.

    Args:
        scratch: the folder it goes to.
        make: block → uint8 [n, H, W, C]; n may be 0.
        count: of pictures to expect, for the progress bar.
    """
    with (
        (scratch / _PIXELS).open("wb") as file,
        tqdm(total=count, unit=" pictures", desc="decoding", leave=False, disable=None) as bar,
        # Pillow lets go of the interpreter's lock while it decodes, so threads are enough.
        ThreadPoolExecutor(cores()) as pool,
    ):
        for pixels in _ahead(pool, make, blocks):
            file.write(np.ascontiguousarray(pixels).reshape(-1).data)
            bar.update(max(1, len(pixels)))


def read(folder: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns the pixels, uint8 of that shape, as a memory-mapped file that can't be written."""
    return np.memmap(folder / _PIXELS, np.uint8, "r", shape=shape)


def _ahead(
    pool: ThreadPoolExecutor, make: Callable[[_Block], Any], blocks: Iterable[_Block]
) -> Iterator[Any]:
    """Like the pool's map, with few results waiting: all of them may not fit into memory."""
    waiting: deque[Future[Any]] = deque()
    for block in blocks:
        waiting.append(pool.submit(make, block))
        if len(waiting) > 2 * cores():
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
