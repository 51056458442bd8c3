"""The callers' process, against a model server that can be slow and wrong."""

from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from contract.wire import serving_pb2 as pb
from contract.wire.tensors import to_tensor
from server.tuning.callers import Callers, Job, callers
from server.tuning.errors import CallError
from tests.manifests import make_manifest
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def calling() -> Iterator[Callers]:
    with callers() as process:
        yield process


@pytest.fixture
def pets() -> Iterator[FakeModelServer]:
    with running(FakeModelServer({"pets": {1: make_manifest()}})) as server:
        yield server


def job(fake: FakeModelServer, count: int, seconds: float) -> Job:
    request = pb.PredictRequest()
    request.model_spec.name = "pets"
    size = make_manifest().input
    assert size is not None
    pixels = np.zeros((1, size.height or 1, size.width or 1, size.channels), np.uint8)
    request.inputs["images"].CopyFrom(to_tensor(pixels))
    return Job(fake.address, [request.SerializeToString()], count, seconds)


def test_all_callers_wait_for_their_answers(calling: Callers, pets: FakeModelServer) -> None:
    pets.delay = 0.05
    load = calling.run(job(pets, 4, 0.5))
    assert load.median_ms >= 50
    assert load.p99_ms >= load.median_ms
    # Each is answered at most 20 times a second.
    assert 0 < load.rate <= 4 * 20 * 1.2
    assert len(pets.calls) >= load.rate * 0.5
    assert {call[3][0] for call in pets.calls} == {1}


def test_a_failed_call_is_told_with_its_status(calling: Callers, pets: FakeModelServer) -> None:
    pets.fail = grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: the fake fails"):
        calling.run(job(pets, 4, 5))
    pets.fail = None
    assert calling.run(job(pets, 2, 0.1)).rate > 0  # the process goes on


def test_a_slow_model_is_measured_for_longer(calling: Callers, pets: FakeModelServer) -> None:
    pets.delay = 0.3
    load = calling.run(job(pets, 2, 0.1))
    assert len(pets.calls) >= 4
    assert load.median_ms >= 300
    assert load.rate <= 2 / 0.3 * 1.2
