"""Both clients against every way in which a gateway can answer."""

import asyncio
import base64
import io
import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from client import (
    AsyncClient,
    BadAnswerError,
    BodyTooLargeError,
    BrokenImageError,
    Client,
    ClientError,
    GatewayAwayError,
    ListedModel,
    ProblemError,
    Ranked,
    Result,
    TooManyImagesError,
    UnknownModelError,
    VersionState,
)
from client.gateway.version import VERSION
from tests.client.gateways import (
    CAT,
    OK,
    URL,
    Script,
    answering,
    ask,
    labelling,
    parts,
    problem,
    refusal,
)

Kind = type[Client | AsyncClient]
CAT_RESULT = Result(
    label="cat",
    probability=0.75,
    top_k=(Ranked("cat", 0.75),),
    model="pets",
    version="3",
    request_id="r1",
)

both = pytest.mark.parametrize("kind", [Client, AsyncClient])


@both
def test_one_image_is_the_body_and_one_result_comes_back(kind: Kind, tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"content")
    forms = [picture, str(picture), b"content", bytearray(b"content"), memoryview(b"content")]
    for image in [*forms, io.BytesIO(b"content")]:
        script = Script(httpx.Response(200, json=OK, headers={"X-Request-Id": "r1"}))
        assert ask(kind, script, "classify", image, "pets") == CAT_RESULT
        (request,) = script.requests
        assert (request.method, str(request.url)) == ("POST", f"{URL}/v1/models/pets:classify")
        assert request.headers["Content-Type"] == "application/octet-stream"
        assert request.headers["User-Agent"] == f"lince-client/{VERSION}"
        assert request.content == b"content"


@both
def test_a_list_has_a_result_or_an_error_for_each(kind: Kind) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert parts(request) == [b"1", b"2"]
        return httpx.Response(200, json={**OK, "results": [CAT, {"problem": broken}]})

    broken = problem("broken-image", 400)
    good, bad = ask(kind, handler, "classify", [b"1", b"2"], "pets")
    assert good.label == "cat"
    assert isinstance(bad, BrokenImageError)
    assert ask(kind, labelling, "classify", (b"1",), "pets")[0].label == "1"
    assert ask(kind, handler, "classify", [], "pets") == ()


@both
def test_an_image_s_own_problem_stands_in_its_place_even_where_it_comes_alone(kind: Kind) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return refusal("broken-image", 400) if parts(request) == [b"bad"] else labelling(request)

    batch = {"batch": 2}
    good, _, bad = ask(kind, handler, "classify", [b"a", b"b", b"bad"], "pets", settings=batch)
    assert good.label == "a"
    assert isinstance(bad, BrokenImageError)
    with pytest.raises(BrokenImageError, match="What kind it is: what happened"):
        ask(kind, handler, "classify", b"bad", "pets")


@both
@pytest.mark.parametrize(
    ("options", "path", "query"),
    [
        ({"version": 7}, "/v1/models/pets/versions/7:classify", {}),
        ({"version": "7"}, "/v1/models/pets/versions/7:classify", {}),
        ({"label": "a/b"}, "/v1/models/pets/labels/a%2Fb:classify", {}),
        (
            {"top_k": 2, "threshold": 0.5, "probabilities": True},
            "/v1/models/pets:classify",
            {"top_k": "2", "threshold": "0.5", "probabilities": "true"},
        ),
    ],
)
def test_options(kind: Kind, options: dict[str, Any], path: str, query: dict[str, str]) -> None:
    script = Script(httpx.Response(200, json=OK))
    ask(kind, script, "classify", b"x", "pets", **options)
    (request,) = script.requests
    assert request.url.raw_path.decode().partition("?")[0] == path
    assert dict(request.url.params) == query


def test_all_probabilities() -> None:
    answer = {**OK, "labels": ["dog", "cat"], "results": [{**CAT, "probabilities": [0.25, 0.75]}]}
    result = ask(Client, answering(answer), "classify", b"x", "pets", probabilities=True)
    assert dict(zip(result.labels, result.probabilities, strict=True)) == {"dog": 0.25, "cat": 0.75}


def test_wrong_options_are_errors_before_anything_is_sent() -> None:
    for options in ({"version": 1, "label": "stable"}, {"timeout": 0}, {"timeout": float("nan")}):
        with pytest.raises(ValueError, match=r"only one|above 0"):
            ask(Client, Script(), "classify", b"x", "pets", **options)
    with pytest.raises(TypeError, match="topk"):
        ask(Client, Script(), "classify", b"x", "pets", topk=1)
    for settings in ({"timeout": -1}, {"batch": 0}):
        with pytest.raises(ValueError, match=r"above 0|at least 1"):
            Client(URL, **settings)


@both
def test_explain(kind: Kind) -> None:
    item = {"label": "cat", "probability": 0.75, "heatmap": [[0.0, 1.0], [0.5, 0.25]]}
    overlay = base64.b64encode(b"a PNG").decode()
    script = Script(httpx.Response(200, json={**OK, "results": [{**item, "overlay": overlay}]}))
    explanation = ask(kind, script, "explain", b"x", "pets", overlay=True)
    assert explanation.heatmap == ((0.0, 1.0), (0.5, 0.25))
    assert (explanation.label, explanation.overlay) == ("cat", b"a PNG")
    assert str(script.requests[0].url) == f"{URL}/v1/models/pets:explain?overlay=true"
    plain = ask(kind, answering({**OK, "results": [item]}), "explain", [b"x"], "pets")
    assert plain[0].overlay is None


@both
def test_a_long_list_is_split_and_stays_in_order(kind: Kind) -> None:
    sizes: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sizes.append(len(parts(request)))
        return labelling(request)

    images = [str(number).encode() for number in range(70)]
    results = ask(kind, handler, "classify", images, "pets")
    assert [result.label for result in results] == [str(number) for number in range(70)]
    assert sizes == [32, 32, 6]


@both
@pytest.mark.parametrize(("refused", "status"), [("too-many-images", 422), ("body-too-large", 413)])
def test_a_batch_that_the_gateway_finds_too_large_is_halved(
    kind: Kind, refused: str, status: int
) -> None:
    sizes: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sizes.append(len(parts(request)))
        return labelling(request) if sizes[-1] <= 5 else refusal(refused, status)

    images = [io.BytesIO(str(number).encode()) for number in range(20)]
    results = ask(kind, handler, "classify", images, "pets", settings={"batch": 16})
    assert [result.label for result in results] == [str(number) for number in range(20)]
    assert sizes == [16, 8, 4, 4, 4, 4, 4]


def test_halving_has_an_end() -> None:
    large = refusal("body-too-large", 413)
    (result,) = ask(Client, lambda _: large, "classify", [b"x"], "pets")
    assert isinstance(result, BodyTooLargeError)
    with pytest.raises(TooManyImagesError):
        ask(Client, lambda _: refusal("too-many-images", 422), "classify", [b"x"], "pets")


@both
def test_a_problem_is_an_error_with_its_members(kind: Kind) -> None:
    document = problem("unknown-model", 404)
    script = Script(httpx.Response(404, json=document, headers={"X-Request-Id": "r2"}))
    with pytest.raises(UnknownModelError) as caught:
        ask(kind, script, "classify", [b"1", b"2"], "pets")
    error = caught.value
    assert {key: getattr(error, key) for key in document} == document
    assert (error.kind, error.request_id) == ("unknown-model", "r2")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))


def test_a_problem_of_a_newer_gateway() -> None:
    with pytest.raises(ProblemError) as caught:
        ask(Client, answering(problem("new-kind", 418), 418), "models")
    assert (type(caught.value), caught.value.kind) == (ProblemError, "new-kind")


@both
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'"<html>"', 200),
        (b"\xff", 200),
        (b"{}", 200),
        (b"[" * 100_000, 200),
        (b'{"model":"m","version":"1","results":[]}', 200),
        (b'{"model":"m","version":"1","results":[{}]}', 200),
        (b"<html>", 404),
        (b"", 302),
        (b'{"error":"x"}', 404),
    ],
)
def test_what_is_no_gateway(kind: Kind, content: bytes, status: int) -> None:
    with pytest.raises(BadAnswerError, match=URL):
        ask(kind, lambda _: httpx.Response(status, content=content), "classify", b"x", "pets")


def test_an_answer_whose_coding_is_broken() -> None:
    response = httpx.Response(
        200, stream=httpx.ByteStream(b"no gzip"), headers={"Content-Encoding": "gzip"}
    )
    with pytest.raises(BadAnswerError):
        ask(Client, lambda _: response, "models")


@both
def test_models(kind: Kind) -> None:
    cards = {"models": [{"name": "a", "ready": True, "version": "1", "more": 1}]}
    assert ask(kind, answering(cards), "models") == (ListedModel("a", True, "1"),)


@both
def test_model(kind: Kind) -> None:
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK"}}
    card = {
        "name": "a",
        "ready": True,
        "version": "1",
        "model_version_status": [state],
        "manifest": {"labels": ["cat", "dog"]},
    }
    script = Script(httpx.Response(200, json=card))
    answer = ask(kind, script, "model", "a")
    assert answer.versions == (VersionState("1", "AVAILABLE"),)
    assert answer.manifest == {"labels": ["cat", "dog"]}
    assert script.requests[0].url.path == "/v1/models/a"


@both
def test_a_file_that_is_not_there(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        ask(kind, answering(OK), "classify", [tmp_path / "nothing.png"], "pets")


@pytest.mark.parametrize(
    ("given", "variable", "sent"),
    [
        ("a", "b", "Bearer a"),
        (None, "b\n", "Bearer b"),
        (None, "", None),
        ("", "b", None),
    ],
)
def test_the_api_key(
    monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str, sent: str | None
) -> None:
    monkeypatch.setenv("LINCE_API_KEY", variable)
    script = Script(httpx.Response(200, json=OK))
    ask(Client, script, "classify", b"x", "pets", settings={"api_key": given})
    assert script.requests[0].headers.get("Authorization") == sent


@pytest.mark.parametrize(
    "url", ["http://gateway:port", "http://a..b", "ftp://gateway", "gateway:8000", ""]
)
def test_what_is_no_address(url: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(GatewayAwayError):
            kind(url)


@both
def test_a_key_that_no_header_holds(kind: Kind) -> None:
    with pytest.raises(ClientError, match="LINCE_API_KEY") as caught:
        kind(URL, api_key="secret\nX-Admin: 1")
    assert "secret" not in str(caught.value)


def test_a_password_in_the_address_is_not_told() -> None:
    with Client("http://me:secret@gateway/lince/") as client:
        assert client.url == "http://gateway/lince"


def test_many_calls_at_a_time_in_one_loop() -> None:
    async def many() -> list[str]:
        transport = httpx.MockTransport(labelling)
        async with AsyncClient(URL, transport=transport) as client:
            calls = (client.classify(str(number).encode(), "pets") for number in range(50))
            return [result.label for result in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == [str(number) for number in range(50)]
