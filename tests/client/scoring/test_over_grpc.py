"""The way to the model server itself: processes of its own decode."""

from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest

from client.scoring import decoding
from client.scoring.contents import InMemory, LocalFile
from client.scoring.decoding import decode_all
from client.scoring.errors import RefusedError
from client.scoring.over_grpc import OverGrpc
from client.scoring.transport import (
    Again,
    Answer,
    AwayError,
    BusyError,
    Failed,
    TooMuchError,
    TransportError,
    VersionMissingError,
)
from contract.pixels import PixelSpec
from contract.wire.tls import Tls
from tests.certificates import identity
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

SPEC = PixelSpec(height=8, width=8, channels=3)


@pytest.fixture
def fake() -> Iterator[FakeModelServer]:
    manifest = make_manifest()
    models = {"pets": {1: manifest, 2: make_manifest(("x", "y"), side=4)}, "numbers": {1: manifest}}
    models["numbers"] = {1: make_manifest(task="regression")}
    with running(FakeModelServer(models)) as fake:
        yield fake


@pytest.fixture
def over(fake: FakeModelServer) -> Iterator[Callable[..., OverGrpc]]:
    made: list[OverGrpc] = []

    def make(model: str = "pets", **more: object) -> OverGrpc:
        made.append(OverGrpc(fake.address, model, timeout=10, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_pixels_labels_and_version_belong_together(over: Callable[..., OverGrpc]) -> None:
    transport = over(top_k=2, probabilities=True)
    contents = [InMemory(picture(seed=1)), InMemory(b"no"), LocalFile("/nowhere.png")]
    contents.append(InMemory(picture(seed=2)))
    for version, labels in ((1, ("cat", "dog", "owl")), (2, ("x", "y")), (None, ("x", "y"))):
        assert transport.resolve(version).labels == labels
        first, bad, gone, last = transport.answer(contents, version)
        assert isinstance(first, Answer)
        assert isinstance(last, Answer)
        assert first.version == str(version or 2)
        assert first.probability == float(np.float32(0.9))
        assert len(first.top_k) == 2
        assert first.probabilities is not None
        assert len(first.probabilities) == len(labels)
        assert "no known image format" in str(bad)
        assert gone == Failed("No such file or directory")


def test_batches_are_filled(over: Callable[..., OverGrpc], fake: FakeModelServer) -> None:
    over().answer([InMemory(picture(seed=n)) for n in range(7)], 1)
    assert fake.calls[-1] == ("pets", 1, "serving_default", (7, 8, 8, 3))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, BusyError),
        (grpc.StatusCode.UNAVAILABLE, BusyError),
        (grpc.StatusCode.INTERNAL, AwayError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, AwayError),
        (grpc.StatusCode.NOT_FOUND, VersionMissingError),
        (grpc.StatusCode.FAILED_PRECONDITION, RefusedError),
    ],
)
def test_failures(
    over: Callable[..., OverGrpc],
    fake: FakeModelServer,
    code: grpc.StatusCode,
    error: type[Exception],
) -> None:
    transport = over()
    transport.resolve(1)
    fake.fail = code
    with pytest.raises(error):
        transport.answer([InMemory(picture())], 1)


def test_a_server_with_smaller_batches(
    over: Callable[..., OverGrpc], fake: FakeModelServer
) -> None:
    transport, fake.most_rows = over(), 2
    with pytest.raises(TooMuchError):
        transport.answer([InMemory(picture(seed=n)) for n in range(3)], 1)
    assert len(transport.answer([InMemory(picture(seed=n)) for n in range(2)], 1)) == 2
    fake.most_rows = 0
    with pytest.raises(AwayError):
        transport.answer([InMemory(picture())], 1)


def test_tls_with_certificates_on_both_sides() -> None:
    authority = identity("authority")
    server, client = identity("server", authority), identity("client", authority)
    ca = authority.certificate_pem().encode()
    pair = (server.key_pem().encode(), server.certificate_pem().encode())
    credentials = grpc.ssl_server_credentials([pair], ca, require_client_auth=True)
    own = (client.certificate_pem().encode(), client.key_pem().encode())
    with running(FakeModelServer({"pets": {1: make_manifest()}}), credentials) as fake:
        for tls, passes in (
            (Tls(ca, *own), True),
            (Tls(ca, *own, name="localhost"), True),
            (Tls(ca, *own, name="elsewhere"), False),
            (Tls(ca), False),
            (None, False),
        ):
            transport = OverGrpc(fake.address, "pets", timeout=5, tls=tls)
            if passes:
                assert transport.resolve(None).version == 1
            else:
                with pytest.raises(BusyError):
                    transport.resolve(None)
            transport.close()


@pytest.mark.parametrize("wrong", ["rows", "classes", "nan", "text", "missing"])
def test_answers_that_make_no_sense(
    over: Callable[..., OverGrpc], fake: FakeModelServer, wrong: str
) -> None:
    transport = over()
    transport.resolve(1)
    fake.wrong = wrong
    with pytest.raises(AwayError):
        transport.answer([InMemory(picture()), InMemory(picture())], 1)


def test_what_is_no_classifier(over: Callable[..., OverGrpc], fake: FakeModelServer) -> None:
    with pytest.raises(RefusedError, match="regression"):
        over("numbers").resolve(None)
    with pytest.raises(TransportError):
        over("nobody").resolve(None)
    fake.wrong = "manifest"
    with pytest.raises(RefusedError, match="manifest"):
        over().resolve(1)


def test_any_version_goes_on_with_the_next(
    over: Callable[..., OverGrpc], fake: FakeModelServer
) -> None:
    transport = over()
    (before,) = transport.answer([InMemory(picture())], None)
    del fake.models["pets"][2]
    with pytest.raises(BusyError):
        transport.answer([InMemory(picture())], None)
    (after,) = transport.answer([InMemory(picture())], None)
    assert isinstance(before, Answer)
    assert isinstance(after, Answer)
    assert (before.version, after.version) == ("2", "1")


@pytest.mark.parametrize(("error", "kind"), [(MemoryError, Again), (ValueError, ValueError)])
def test_decoding_for_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], kind: type
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(decoding, "decode", fail)
    if kind is Again:
        assert isinstance(decode_all([InMemory(b"")], SPEC).wrong[0], Again)
    else:
        with pytest.raises(kind):
            decode_all([InMemory(b"")], SPEC)
