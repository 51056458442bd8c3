"""A run that is killed before any one of its calls of the file system goes on."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from client.scoring import Shard, merge, score
from client.scoring.errors import OutputError
from client.scoring.journal import read_summary
from tests.client.scoring.fake_transport import FakeTransport, job

pytestmark = pytest.mark.heavy

_CALLS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


class KilledError(BaseException):
    """The process is no more."""


class Killer:
    """Counts the calls that touch a folder; from the n-th on, none of them is done any more."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.calls = self.at = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is None or event not in _CALLS:
            return
        path = arguments[0]
        if isinstance(path, int | None) or not os.fspath(path).startswith(self.folder):  # type: ignore[call-overload]
            return
        self.calls += 1
        if self.calls >= self.at:
            raise KilledError


KILLER = Killer()
sys.addaudithook(KILLER)  # there is no taking away: without a folder it does nothing


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Callable[[int, Callable[[], object]], bool]]:
    """Runs what is killed at its n-th call; says whether it had so many."""

    def run(at: int, what: Callable[[], object]) -> bool:
        KILLER.folder, KILLER.calls, KILLER.at = str(tmp_path), 0, at
        try:
            what()
        except KilledError:
            return True
        finally:
            KILLER.folder = None
        return False

    yield run
    KILLER.folder = None


def once_more(what: Callable[[], object], out: Path, overwrite: bool = False) -> None:
    """The same command again; where it was killed after all was done, the output is there."""
    complete = out.exists() and not (out.parent / f"{out.name}.partial/done.json").exists()
    refused = complete and not overwrite
    with pytest.raises(OutputError, match="exists") if refused else nullcontext():
        what()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run(tmp_path: Path, killed: Callable, suffix: str, overwrite: bool) -> None:
    once, at, going = tmp_path / f"once{suffix}", 0, True
    score(job(once), FakeTransport())
    while going:
        at += 1
        out = tmp_path / f"{at}{suffix}"
        if overwrite:
            out.write_text("old")

        def command(out: Path = out) -> object:
            return score(job(out, concurrency=1, overwrite=overwrite), FakeTransport())

        going = killed(at, command)
        once_more(command, out, overwrite)
        assert out.read_bytes() == once.read_bytes()
        assert read_summary(out).rows == 20
        assert {path.name for path in tmp_path.glob(f"{out.name}*")} == {
            out.name,
            f"{out.name}.summary.json",
        }
    assert at > 15


def test_a_merge(tmp_path: Path, killed: Callable) -> None:
    parts, once = [tmp_path / f"part{n}.jsonl" for n in range(2)], tmp_path / "once.jsonl"
    for number, part in enumerate(parts):
        score(job(part, parameters={"shard": Shard(number, 2)}), FakeTransport())
    merge(once, parts)
    at, going = 0, True
    while going:
        at += 1
        out = tmp_path / f"{at}.jsonl"
        going = killed(at, lambda out=out: merge(out, parts))
        once_more(lambda out=out: merge(out, parts), out)
        assert out.read_bytes() == once.read_bytes()
        assert not (tmp_path / f"{out.name}.partial").exists()
    assert at > 10


def test_another_command_does_not_pass_for_the_one_that_was_killed(
    tmp_path: Path, killed: Callable
) -> None:
    at, seen = 0, 0
    out = tmp_path / "out.jsonl"
    while killed(at := at + 1, lambda: score(job(out, overwrite=True), FakeTransport())):
        done = (tmp_path / "out.jsonl.partial/done.json").exists()
        other = job(out, overwrite=True, parameters={"top_k": 1})
        assert score(other, FakeTransport()).parameters.top_k == 1
        assert not (tmp_path / "out.jsonl.partial").exists()
        seen += done
    assert seen > 2


def test_an_output_that_was_taken_away_is_made_again(tmp_path: Path, killed: Callable) -> None:
    at = 0
    out = tmp_path / "out.csv"
    while killed(at := at + 1, lambda: score(job(out), FakeTransport())):
        out.unlink(missing_ok=True)
        killed(at, lambda: score(job(out), FakeTransport()))
        once_more(lambda: score(job(out), FakeTransport()), out)
        assert len(out.read_text().splitlines()) == 21
        out.unlink()
