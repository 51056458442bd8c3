from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from server.app import create_app
from tests.integration.processes import wait_until
from tests.manifests import make_manifest
from tests.server.fake_model_server import FakeModelServer, running


@pytest.fixture
def fake() -> Iterator[FakeModelServer]:
    with running(FakeModelServer({"pets": {1: make_manifest()}})) as server:
        yield server


@pytest.fixture
def settings(fake: FakeModelServer) -> Settings:
    return Settings(
        models=("pets", "absent"),
        model_server=fake.address,
        max_body_bytes=1_000_000,
        max_image_pixels=1_000_000,
        max_images=4,
        # Only what a request itself asks for: a test decides when a version is noticed.
        refresh_seconds=3600.0,
        timeout_seconds=5.0,
    )


def settled(settings: Settings, fake: FakeModelServer) -> FlaskClient:
    """A gateway whose background thread has asked for the last model and sleeps for an hour."""
    client = create_app(settings).test_client()
    wait_until(lambda: "absent" in {call[0] for call in fake.calls}, "the background thread")
    return client


@pytest.fixture
def http(settings: Settings, fake: FakeModelServer) -> FlaskClient:
    return settled(settings, fake)
