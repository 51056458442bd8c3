"""Scoring: every picture of a folder through a gateway, a row each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tqdm import tqdm

from client.errors import ProblemError
from client.gateway import Classification, Client, Ranked, Result
from contract.paths import as_text
from contract.pixels import SUFFIXES

#: Problems that are a picture's own: they become its row; any other ends the job.
_OF_THE_PICTURE = ("not-an-image", "broken-image", "image-too-large", "body-too-large", "no-image")
#: Seconds between the tries of a request whose problem says that it may pass.
_WAITS = (0.5, 1.0, 2.0, 4.0)


class Row(msgspec.Struct, omit_defaults=True):
    """A line of the output: a path and either its labels or its error."""

    path: str
    model: str | None = None
    version: str | None = None
    label: str | None = None
    probability: float | None = None
    top_k: tuple[Ranked, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """How many pictures were scored, and how many of them have an error instead of a label."""

    pictures: int
    errors: int


def score(client: Client, folder: Path, out: Path, model: str, *, concurrency: int = 4) -> Summary:
    """Classifies every picture below a folder and writes a JSON line for each, in path order.

    A picture that can't be classified is a row with its error. The output appears under its name
    when it is complete; until then it is beside it, with `.part` at the end.

    Raises:
        ClientError: the gateway went away, or has a problem that is not a picture's own; nothing
            is written under the output's name.
        OSError: the folder can't be read or the output not written.
    """
    files = pictures(folder)
    errors = 0
    part = out.with_name(out.name + ".part")
    with part.open("wb") as file, ThreadPoolExecutor(concurrency) as pool:
        rows = _in_order(pool, client, files, model, concurrency)
        for row in tqdm(rows, total=len(files), unit=" pictures", desc="scoring", disable=None):
            errors += row.error is not None
            file.write(msgspec.json.encode(row) + b"\n")
    part.rename(out)
    return Summary(len(files), errors)


def pictures(folder: Path) -> list[Path]:
    """Returns the picture files below a folder, by their suffix, in path order.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _in_order(
    pool: ThreadPoolExecutor, client: Client, files: list[Path], model: str, ahead: int
) -> Iterator[Row]:
    """Yields the rows in the order of the files, with a bounded number of requests under way."""
    waiting: list[Future[Row]] = []
    try:
        for file in files:
            waiting.append(pool.submit(_row, client, file, model))
            if len(waiting) > 2 * ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()


def _patiently(classify: Callable[[], Classification]) -> Classification:
    """A model that is just being replaced, or a moment's overload, does not end a long job."""
    for seconds in _WAITS:
        try:
            return classify()
        except ProblemError as error:
            if not error.retryable:
                raise
            time.sleep(seconds)
    return classify()


def _row(client: Client, file: Path, model: str) -> Row:
    path = as_text(file)
    try:
        answer = _patiently(lambda: client.classify([file], model))
    except ProblemError as error:
        if error.type.rpartition(":")[2] not in _OF_THE_PICTURE:
            raise
        return Row(path, error=str(error))
    except OSError as error:
        return Row(path, error=str(error))
    result = answer.results[0]
    assert isinstance(result, Result)  # one picture: its problem is the answer's
    return Row(
        path,
        model=answer.model,
        version=answer.version,
        label=result.label,
        probability=result.probability,
        top_k=result.top_k,
    )
