"""Scoring a folder: a row for each picture, in order, whatever happens."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from client import Client, GatewayAwayError, ProblemError
from client.score import pictures, score


def gateway(calls: list[bytes] | None = None, *, fail_at: int | None = None) -> Client:
    """A gateway that says what it was sent, refuses b"bad", and can go away."""
    lock, count = threading.Lock(), [0]

    def handler(request: httpx.Request) -> httpx.Response:
        content = request.read()
        with lock:
            count[0] += 1
            if calls is not None:
                calls.append(content)
            if count[0] == fail_at:
                raise httpx.ConnectError("gone")
        if content == b"bad":
            problem = {
                "type": "urn:lince:problem:broken-image",
                "title": "No",
                "status": 400,
                "detail": "bad picture",
            }
            return httpx.Response(400, json=problem)
        if content == b"model":
            problem = {"type": "t", "title": "No", "status": 503, "detail": "no model"}
            return httpx.Response(503, json=problem)
        result = {"label": content.decode(), "probability": 1.0, "top_k": []}
        return httpx.Response(200, json={"model": "m", "version": "1", "results": [result]})

    return Client("http://gateway", transport=httpx.MockTransport(handler))


def fill(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_rows_are_in_path_order_and_a_bad_file_is_a_row(tmp_path: Path) -> None:
    names = [f"{number:03}.jpg" for number in range(50)]
    folder = fill(tmp_path / "in", {name: name.encode() for name in names})
    fill(folder, {"010.jpg": b"bad", "sub/a.PNG": b"deep", "notes.txt": b"no", ".hidden.png": b""})
    out = tmp_path / "out.jsonl"
    with gateway() as client:
        summary = score(client, folder, out, "m", concurrency=8)
    assert (summary.pictures, summary.errors) == (51, 1)
    found = rows(out)
    assert [Path(row["path"]).name for row in found] == [*names, "a.PNG"]
    assert found[0] == {
        "path": str(folder / "000.jpg"),
        "model": "m",
        "version": "1",
        "label": "000.jpg",
        "probability": 1.0,
    }
    assert set(found[10]) == {"path", "error"}
    assert "bad picture" in found[10]["error"]


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / b"\xff.png".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    with gateway() as client:
        assert score(client, folder, tmp_path / "out.jsonl", "m").errors == 0
    (row,) = rows(tmp_path / "out.jsonl")
    assert row["path"].endswith("\\xff.png")


def test_an_unreadable_file_is_a_row(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "nothing")
    fill(folder, {"b.png": b"b"})
    with gateway() as client:
        assert score(client, folder, tmp_path / "out.jsonl", "m").pictures == 1


@pytest.mark.parametrize(
    ("contents", "fail_at", "error"),
    [(b"x", 20, GatewayAwayError), (b"model", None, ProblemError)],
)
def test_what_is_not_the_picture_s_fault_ends_the_job(
    tmp_path: Path, contents: bytes, fail_at: int | None, error: type[Exception]
) -> None:
    folder = fill(tmp_path / "in", {f"{number}.png": contents for number in range(100)})
    out = tmp_path / "out.jsonl"
    calls: list[bytes] = []
    with gateway(calls, fail_at=fail_at) as client, pytest.raises(error):
        score(client, folder, out, "m")
    assert not out.exists()  # what is there under this name is complete
    assert len(calls) < 100


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nothing"):
        pictures(tmp_path / "nothing")
