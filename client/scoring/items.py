"""An input of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from client.scoring.contents import Content
from client.scoring.rows import Shard


@dataclass(frozen=True, slots=True)
class Found:
    """What a source gives: a name, and where its bytes are.

    Attributes:
        name: path or URL, valid UTF-8.
        content: or a function that must be called before the source is asked for the next, since
            the bytes pass by only once.
    """

    name: str
    content: Content | Callable[[], Content]


@dataclass(frozen=True, slots=True)
class Item:
    """An input: its place among all inputs, its name, and where its bytes are."""

    index: int
    name: str
    content: Content | Callable[[], Content]

    @property
    def folder(self) -> str:
        """The name of the folder that the input is in."""
        return os.path.basename(os.path.dirname(self.name))  # noqa: PTH119, PTH120 a name, maybe an URL


class Items:
    """The items of one shard, in order; `seen` is how many inputs the sources gave so far."""

    def __init__(self, found: Iterable[Found], shard: Shard) -> None:
        self.seen = 0
        self._found = found
        self._shard = shard

    def __iter__(self) -> Iterator[Item]:
        for index, found in enumerate(self._found):
            self.seen = index + 1
            if self._shard.has(index):
                yield Item(index, found.name, found.content)
