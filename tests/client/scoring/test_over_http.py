"""The way through the gateway."""

from collections.abc import Iterator

import pytest

from client.gateway import Client, Retry
from client.scoring.contents import InMemory, LocalFile
from client.scoring.errors import RefusedError
from client.scoring.over_http import BATCH_BYTES, OverHttp
from client.scoring.transport import (
    Answer,
    AwayError,
    BusyError,
    Failed,
    TooMuchError,
    VersionMissingError,
)
from tests.client.scoring.fake_gateway import FakeGateway, serving


@pytest.fixture(scope="module")
def served() -> Iterator[FakeGateway]:
    with serving(FakeGateway()) as fake:
        yield fake


@pytest.fixture
def fake(served: FakeGateway) -> FakeGateway:
    served.versions, served.refuse, served.killers = [1, 2], [], set()
    return served


@pytest.fixture
def transport(fake: FakeGateway) -> Iterator[OverHttp]:
    transport = over(fake.url)
    yield transport
    transport.close()


def over(url: str, model: str = "pets", **more: object) -> OverHttp:
    return OverHttp(Client(url, timeout=10, retry=Retry(times=0)), model, top_k=2, **more)


def test_versions_and_labels(transport: OverHttp, fake: FakeGateway) -> None:
    assert transport.resolve(None).version == 2
    assert transport.resolve(None).labels == ("cat", "dog", "owl")
    assert (transport.resolve(1).version, transport.resolve(1).labels) == (1, ())
    fake.versions = []
    with pytest.raises(BusyError):
        transport.resolve(None)


def test_each_picture_has_its_outcome(transport: OverHttp) -> None:
    contents = [InMemory(b"1"), InMemory(b"bad"), LocalFile("/nowhere.png"), InMemory(b"2")]
    first, bad, gone, last = transport.answer(contents, 1)
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)
    assert (first.version, len(first.top_k), first.probabilities) == ("1", 2, None)
    assert bad == Failed("broken-image: the fake says so")
    assert gone == Failed("No such file or directory")
    assert transport.answer([InMemory(b"bad")], None) == [bad]
    assert transport.answer([LocalFile("/nowhere.png")], None) == [gone]


def test_probabilities(fake: FakeGateway) -> None:
    transport = over(fake.url, probabilities=True)
    (answer,) = transport.answer([InMemory(b"1")], None)
    transport.close()
    assert isinstance(answer, Answer)
    assert answer.probabilities is not None
    assert max(answer.probabilities) == answer.probability


def test_large_pictures_go_alone(transport: OverHttp, fake: FakeGateway) -> None:
    before = fake.images
    fake.refuse = [429]
    with pytest.raises(BusyError):
        transport.answer([InMemory(b"x" * BATCH_BYTES), InMemory(b"1")], None)
    assert len(transport.answer([InMemory(b"x" * BATCH_BYTES), InMemory(b"1")], None)) == 2
    assert fake.images == before + 2


@pytest.mark.parametrize(("status", "error"), [(429, BusyError), (503, BusyError)])
def test_what_may_pass(
    transport: OverHttp, fake: FakeGateway, status: int, error: type[Exception]
) -> None:
    fake.refuse, fake.retry_after = [status, status], None
    with pytest.raises(error):
        transport.answer([InMemory(b"1")], None)
    fake.retry_after = "7"
    with pytest.raises(error) as caught:
        transport.answer([InMemory(b"1")], None)
    assert caught.value.after == 7  # type: ignore[attr-defined]


def test_what_does_not(transport: OverHttp, fake: FakeGateway) -> None:
    with pytest.raises(VersionMissingError):
        transport.answer([InMemory(b"1")], 9)
    fake.refuse = [400]
    with pytest.raises(TooMuchError):
        transport.answer([InMemory(b"1"), InMemory(b"2")], None)
    fake.killers = {b"kill"}
    with pytest.raises(AwayError):
        transport.answer([InMemory(b"kill")], None)
    for ask in (lambda one: one.resolve(None), lambda one: one.answer([InMemory(b"1")], None)):
        other = over(fake.url, "nobody")
        with pytest.raises(RefusedError, match="unknown-model"):
            ask(other)
        other.close()
