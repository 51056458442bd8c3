"""The client class against every way in which a gateway can answer."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from client import BadAnswerError, Client, GatewayAwayError, ProblemError, Ranked, Result

Handler = Callable[[httpx.Request], httpx.Response]
OK = {
    "model": "pets",
    "version": "3",
    "results": [
        {"label": "cat", "probability": 0.75, "top_k": [{"label": "cat", "probability": 0.75}]}
    ],
}
PROBLEM = {
    "type": "urn:lince:problem:not-an-image",
    "title": "The data is not an image",
    "status": 400,
    "detail": "the data is in no known image format",
    "retryable": False,
}


def client(handler: Handler) -> Client:
    return Client("http://gateway/", transport=httpx.MockTransport(handler))


def answering(content: object, status: int = 200) -> Handler:
    return lambda _: httpx.Response(status, json=content)


def test_one_picture_is_the_body(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=OK)

    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"content")
    with client(handler) as pets:
        for image in (picture, b"content"):
            answer = pets.classify([image], "pets", top_k=2)
            assert (answer.model, answer.version) == ("pets", "3")
            assert answer.results == (Result("cat", 0.75, (Ranked("cat", 0.75),)),)
        pets.classify([b"content"], "pets", version=7)
    assert [str(request.url) for request in seen] == [
        "http://gateway/v1/models/pets:classify?top_k=2",
        "http://gateway/v1/models/pets:classify?top_k=2",
        "http://gateway/v1/models/pets/versions/7:classify",
    ]
    assert {request.read() for request in seen} == {b"content"}


def test_several_pictures_are_parts_with_their_own_results() -> None:
    results = [*OK["results"], {"problem": PROBLEM}]

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Type"].startswith("multipart/form-data")
        assert request.read().count(b' name="image"') == 2
        return httpx.Response(200, json={**OK, "results": results})

    with client(handler) as pets:
        good, bad = pets.classify([b"1", b"2"], "pets").results
    assert isinstance(good, Result)
    assert isinstance(bad, ProblemError)
    assert (bad.status, bad.type) == (400, PROBLEM["type"])


def test_a_problem_is_an_error_with_its_members() -> None:
    with client(answering(PROBLEM, 400)) as pets, pytest.raises(ProblemError) as caught:
        pets.classify([b"x"], "pets")
    assert {key: getattr(caught.value, key) for key in PROBLEM} == PROBLEM
    assert "no known image format" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("<html>", 200),
        ({}, 200),
        ({**OK, "results": []}, 200),
        ({**OK, "results": [{}]}, 200),
        ("<html>", 502),
        ({"error": "x"}, 404),
    ],
)
def test_what_is_no_gateway(content: object, status: int) -> None:
    with client(answering(content, status)) as pets, pytest.raises(BadAnswerError):
        pets.classify([b"x"], "pets")


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.ReadError("broken")]
)
def test_a_gateway_that_is_away(error: httpx.TransportError) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    with client(handler) as pets, pytest.raises(GatewayAwayError, match="http://gateway"):
        pets.models()


def test_models() -> None:
    cards = {"models": [{"name": "a", "ready": True, "version": "1", "more": 1}]}
    with client(answering(cards)) as pets:
        (card,) = pets.models()
    assert (card.name, card.ready, card.version) == ("a", True, "1")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with client(answering(OK)) as pets, pytest.raises(FileNotFoundError):
        pets.classify([tmp_path / "nothing.png"], "pets")
