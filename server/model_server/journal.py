"""What the server is doing, in memory that outlives its process: who was at work when it died."""

import mmap
import os
import struct
import tempfile
import weakref
from collections import deque
from dataclasses import dataclass

_SLOTS = 1024
_WIDTH = 256
_PORTS = struct.Struct("<HH")


@dataclass(frozen=True)
class Work:
    """A piece of work on a version of a model: `load` or `run`."""

    kind: str
    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.kind} of model {self.model} version {self.version}"


class Journal:
    """A table of the work in hand, shared by a process and those that it forks.

    Only one process writes. More work than there are rows goes unnoted.
    """

    def __init__(self) -> None:
        # The first row is the ports'.
        self._memory = mmap.mmap(-1, (_SLOTS + 1) * _WIDTH)
        self._free = deque(range(1, _SLOTS + 1))
        with tempfile.TemporaryFile() as file:  # a file without a name, which nobody has to delete
            self._config = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._config)

    def enter(self, work: bytes) -> int:
        """Note work, as `encoded` makes it, that begins; returns what `leave` needs."""
        try:
            slot = self._free.pop()
        except IndexError:
            return 0
        start = slot * _WIDTH
        self._memory[start : start + len(work)] = work
        return slot

    def leave(self, slot: int) -> None:
        """Note that the work has ended."""
        if slot:
            self._memory[slot * _WIDTH] = 0
            self._free.append(slot)

    def in_hand(self) -> list[Work]:
        """What has begun and not ended."""
        return [
            _decoded(self._memory[start : start + _WIDTH])
            for start in range(_WIDTH, len(self._memory), _WIDTH)
            if self._memory[start]
        ]

    def note_ports(self, grpc: int, rest: int) -> None:
        """Note the ports that the server listens on; 0 for none."""
        self._memory[: _PORTS.size] = _PORTS.pack(grpc, rest)

    def ports(self) -> tuple[int, int]:
        """The ports noted last; 0 where there was none."""
        grpc, rest = _PORTS.unpack(self._memory[: _PORTS.size])
        return grpc, rest

    def note_config(self, serialized: bytes) -> None:
        """Note what is to be served, a ModelServerConfig."""
        os.pwrite(self._config, serialized, 0)
        os.ftruncate(self._config, len(serialized))

    def config(self) -> bytes:
        """The ModelServerConfig noted last; empty if there was none."""
        size = os.fstat(self._config).st_size
        return os.pread(self._config, size, 0)

    def clear(self) -> None:
        """Forget all work; all else stays."""
        for start in range(_WIDTH, len(self._memory), _WIDTH):
            self._memory[start] = 0
        self._free = deque(range(1, _SLOTS + 1))


def encoded(kind: str, model: str, version: int) -> bytes:
    """Work as the journal holds it; a name that is too long is cut."""
    head = f"{kind}\t{version}\t".encode()
    return head + model.encode()[: _WIDTH - len(head) - 1] + b"\0"


def _decoded(row: bytes) -> Work:
    kind, version, model = row[: row.index(b"\0")].decode(errors="replace").split("\t", 2)
    return Work(kind, model, int(version))
