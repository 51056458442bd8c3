"""Scoring: every picture of a folder through a gateway, a row each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tqdm import tqdm

from client.errors import ClientError, GatewayAwayError, ProblemError
from client.gateway import Client, Ranked, Result
from contract.pixels import SUFFIXES


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
        GatewayAwayError: the gateway went away; nothing is written under the output's name.
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


def _row(client: Client, file: Path, model: str) -> Row:
    path = str(file).encode("utf-8", "backslashreplace").decode()
    try:
        answer = client.classify([file], model)
    except GatewayAwayError:
        raise
    except ProblemError as error:
        if error.status >= 500 or error.status == 404:  # not the picture's fault
            raise
        return Row(path, error=str(error))
    except (ClientError, OSError) as error:
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
