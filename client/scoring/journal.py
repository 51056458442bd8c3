"""The rows of a run that is not finished, beside its output: whatever ends it, none is lost.

OUTPUT.partial/
    lock           held by the process that writes
    header.json    the run's parameters, the pinned version
    rows.jsonl     a line for each input, in order, append-only
    result         the output in its own format, while it is made
    done.json      the summary, once the output only has to be renamed; goes last

The rows are written as they come, so that a process may be killed at any moment; a line that is
torn is dropped, and its input scored again. They are brought to the disk every second (and the
header at once), so that a power failure costs a second of work at most.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from client.scoring.errors import OutputError
from client.scoring.rows import Parameters, Row, Summary
from contract.files import flush_one, write_whole

# Seconds of rows that a power failure may cost.
_SYNC_SECONDS = 1.0

_Kind = TypeVar("_Kind")


class Header(msgspec.Struct, frozen=True):
    """What is known of a run from its beginning; `version` is None where it may change."""

    parameters: Parameters
    version: int | None = None
    labels: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True):
    """A run whose result is complete: what is renamed to be the output, and the summary."""

    inode: int
    summary: Summary


class Journal:
    """What there is of an output until it is complete. Use it in a `with` block.

    Args:
        out: the output.

    Raises:
        OutputError: another process writes the same output.
        OSError: nothing can be written there.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".partial")
        self.result = self.folder / "result"
        self._header = self.folder / "header.json"
        self._rows = self.folder / "rows.jsonl"
        self._done = self.folder / "done.json"
        self._lock_file = self.folder / "lock"
        self._end = 0
        self._file: int | None = None
        self._synced = time.monotonic()
        self._lock = self._locked()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Brings the rows to the disk and lets others write; a journal without rows goes."""
        try:
            self._close_rows()
            if not self._begun():
                self._remove()
        finally:
            os.close(self._lock)

    def done(self) -> Summary | None:
        """Ends a run that was complete and stopped before its last renaming; else None."""
        done = _read(self._done, Done)
        if done is None:
            return None
        if done.inode not in (_inode(self.result), _inode(self.out)):
            self._done.unlink()  # the output was taken away: another result is not to pass for it
            return None
        self._publish(done)
        return done.summary

    def header(self, parameters: Parameters, *, overwrite: bool) -> Header | None:
        """Returns what the same command left behind; None if it is the first time.

        Raises:
            OutputError: another command began this output.
        """
        known = _read(self._header, Header)
        if known is None or not self._begun():
            return None
        if not self._rows.exists():
            if not self.result.exists():
                return None
            self.result.replace(self._rows)  # stopped when they were just to become the output
        if known.parameters == parameters:
            return known
        if overwrite:
            return None
        raise OutputError(
            f"{self.folder} was begun by another command ({_differences(known, parameters)}):"
            " repeat that one, or name another output, or begin anew with --overwrite"
        )

    def check_unused(self) -> None:
        """Finds rows of a run that is not finished.

        Raises:
            OutputError: there are some.
        """
        if _read(self._header, Header) is not None and self._begun():
            raise OutputError(
                f"{self.folder} is of a run that is not finished; --overwrite drops it"
            )

    def begin(self, header: Header) -> None:
        """Starts anew, with nothing but a header."""
        self.clear()
        flush_one(self.folder)  # the rows of before must not be found under the new header
        write_whole(self._header, msgspec.json.encode(header))
        self._rows.touch()
        flush_one(self.folder)

    def clear(self) -> None:
        """Drops what there is; `done.json` last, since it says that nothing else is needed."""
        for old in (self._header, self._rows, self.result, self._done):
            old.unlink(missing_ok=True)

    def rows(self) -> Iterator[Row]:
        """Gives the rows that are there, and drops what follows the last whole one."""
        self._end = 0
        with self._rows.open("rb") as file:
            for line in file:
                row = _whole(line)
                if row is None:
                    break
                self._end += len(line)
                yield row

    def resume(self) -> None:
        """Makes ready to append after the rows that `rows` gave."""
        self._file = os.open(self._rows, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)

    def append(self, rows: Sequence[Row]) -> None:
        """Writes rows.

        Raises:
            OSError: the disk is full, say; what was written before stays.
        """
        assert self._file is not None
        rest = memoryview(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        while rest:
            rest = rest[os.write(self._file, rest) :]
        if (now := time.monotonic()) - self._synced >= _SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = now

    def finish(self, summary: Summary) -> None:
        """Makes `result` the output, with the summary beside it, and the journal go."""
        flush_one(self.result)
        done = Done(self.result.stat().st_ino, summary)
        write_whole(self._done, msgspec.json.encode(done))
        flush_one(self.folder)
        self._publish(done)

    def rows_are_the_result(self) -> None:
        """The rows as they are become the output."""
        self._rows.replace(self.result)

    def _publish(self, done: Done) -> None:
        write_whole(summary_file(self.out), msgspec.json.format(msgspec.json.encode(done.summary)))
        if self.result.exists():
            self.result.replace(self.out)
        flush_one(self.out.parent)
        self.clear()

    def _close_rows(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _begun(self) -> bool:
        """Whether there is anything worth going on from; a merge leaves nothing such."""
        kept = (self._rows, self._done, *([self.result] if self._header.exists() else []))
        return any(path.exists() and path.stat().st_size for path in kept)

    def _remove(self) -> None:
        """Removes the folder, unless another process has just come into it."""
        with suppress(OSError):
            for left in self.folder.iterdir():
                if left != self._lock_file:
                    left.unlink()
            self._lock_file.unlink()
            self.folder.rmdir()

    def _locked(self) -> int:
        path = self._lock_file
        try:
            self.folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise OutputError(f"{self.folder} is in the way") from error
        taken = OutputError(f"{self.out} is being written by another process")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError as error:  # it has just finished, and removed the folder
            raise taken from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A process that has just finished may have removed it in between.
            mine = _inode(path) == os.fstat(descriptor).st_ino
        except BlockingIOError:
            mine = False
        if not mine:
            os.close(descriptor)
            raise taken
        return descriptor


def summary_file(out: Path) -> Path:
    """Returns where the summary of an output is."""
    return out.with_name(out.name + ".summary.json")


def read_summary(out: Path) -> Summary:
    """Returns the summary of a complete output.

    Raises:
        OutputError: it has none, so it is none or is not complete.
    """
    summary = _read(summary_file(out), Summary)
    if summary is None or not out.exists():
        raise OutputError(f"{out}: no complete output, or {summary_file(out).name} is missing")
    return summary


def _whole(line: bytes) -> Row | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return msgspec.json.decode(line, type=Row)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeError):
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _differences(known: Header, parameters: Parameters) -> str:
    before, now = (_plain(one) for one in (known.parameters, parameters))
    return "; ".join(
        f"{name} was {before[name]}, is {now[name]}" for name in now if before[name] != now[name]
    )


def _plain(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in parameters.__struct_fields__}
