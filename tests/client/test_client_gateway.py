"""The client against the gateway itself, with a model server that is not real."""

from collections.abc import Iterator

import grpc
import httpx
import pytest

from client import (
    BadParameterError,
    BrokenImageError,
    Client,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    Result,
    Retry,
    UnavailableError,
    UnknownModelError,
    UnknownVersionError,
)
from contract.settings import Settings
from server.app import create_app
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running


@pytest.fixture
def fake() -> Iterator[FakeModelServer]:
    with running(FakeModelServer({"pets": {1: make_manifest()}})) as server:
        yield server


@pytest.fixture
def client(fake: FakeModelServer) -> Iterator[Client]:
    settings = Settings(
        models=("pets",),
        model_server=fake.address,
        max_body_bytes=1_000_000,
        max_images=4,
        refresh_seconds=3600.0,
    )
    transport = httpx.WSGITransport(create_app(settings))
    with Client("http://gateway", transport=transport, retry=Retry(times=0)) as connected:
        yield connected


def test_a_list_over_the_gateway_s_limit(client: Client) -> None:
    images = [picture(), b"no image", *[picture(seed=number) for number in range(8)], b""]
    results = client.classify(images, "pets", top_k=2)
    assert len(results) == len(images)
    assert isinstance(results[1], NotAnImageError)
    assert isinstance(results[-1], ImageError)
    good = [result for result in results if isinstance(result, Result)]
    assert len(good) == 9
    for result in good:
        assert (result.model, result.version, len(result.top_k)) == ("pets", "1", 2)
        assert result.request_id
        assert result.top_k[0].label == result.label in make_manifest().labels


def test_problems(client: Client) -> None:
    with pytest.raises(UnknownModelError):
        client.classify(picture(), "nobody")
    with pytest.raises(UnknownVersionError):
        client.classify(picture(), "pets", version=9)
    with pytest.raises(BadParameterError):
        client.classify(picture(), "pets", top_k=0)
    with pytest.raises(BrokenImageError):
        client.classify(picture("PNG")[:100], "pets")
    with pytest.raises(ImageTooLargeError):
        client.classify(picture("PPM", size=(1, 1)).replace(b"1 1", b"9999 9999"), "pets")


def test_models(client: Client) -> None:
    (listed,) = client.models()
    card = client.model("pets")
    assert (listed.name, listed.ready, listed.version) == (card.name, card.ready, card.version)
    assert [(state.version, state.state) for state in card.versions] == [("1", "AVAILABLE")]
    assert card.manifest is not None
    assert tuple(card.manifest["labels"]) == make_manifest().labels


def test_a_model_server_that_is_away(client: Client, fake: FakeModelServer) -> None:
    fake.fail = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(UnavailableError) as caught:
        client.classify(picture(), "pets")
    assert caught.value.retryable
