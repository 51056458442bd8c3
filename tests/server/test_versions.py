"""Pixels, probabilities and labels of an answer belong to one version."""

import threading

import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from server.app import create_app
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running

URL = "/v1/models/pets:classify"
OLD = make_manifest(("cat", "dog", "owl"), side=8)
NEW = make_manifest(("alpha", "beta"), side=6, channels=1)
LABELS = {"1": set(OLD.labels), "2": set(NEW.labels)}


def labels_of(answer: dict) -> set[str]:
    return {entry["label"] for entry in answer["results"][0]["top_k"]}


def test_a_version_that_took_another_s_place(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.post(URL, data=picture()).json["version"] == "1"
    fake.models["pets"] = {2: NEW}
    fake.calls.clear()
    answer = http.post(URL, data=picture())
    assert answer.status_code == 200
    assert (answer.json["version"], labels_of(answer.json)) == ("2", LABELS["2"])
    # What was refused, what is there now, and the pixels made again.
    assert [(call[1], call[2], call[3]) for call in fake.calls] == [
        (1, "serving_default", (1, 8, 8, 3)),
        (None, "describe", (0,)),
        (2, "serving_default", (1, 6, 6, 1)),
    ]


def test_a_newer_version_is_noticed_in_the_background(
    settings: Settings, fake: FakeModelServer
) -> None:
    from dataclasses import replace

    http = create_app(replace(settings, refresh_seconds=0.05)).test_client()
    assert http.post(URL, data=picture()).json["version"] == "1"
    fake.models["pets"] = {1: OLD, 2: NEW}
    seen = {http.post(URL, data=picture()).json["version"] for _ in until("2", http)}
    assert seen <= {"1", "2"}
    assert http.post(URL, data=picture()).json["version"] == "2"


def until(version: str, http: FlaskClient):  # type: ignore[no-untyped-def]
    """Goes round until the newest version is this one, ten seconds at most."""
    pause = threading.Event()
    for _ in range(1000):
        if http.get("/v1/models/pets").json["version"] == version:
            return
        yield
        pause.wait(0.01)
    pytest.fail(f"version {version} was not noticed")


def test_one_version_by_its_number(http: FlaskClient, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    for number in ("1", "2"):
        answer = http.post(f"/v1/models/pets/versions/{number}:classify", data=picture())
        assert (answer.json["version"], labels_of(answer.json)) == (number, LABELS[number])


def test_a_pinned_version_that_goes_is_a_404(http: FlaskClient, fake: FakeModelServer) -> None:
    url = "/v1/models/pets/versions/1:classify"
    assert http.post(url, data=picture()).status_code == 200
    fake.models["pets"] = {2: NEW}
    assert http.post(url, data=picture()).status_code == 404


def test_the_same_number_with_another_manifest(http: FlaskClient, fake: FakeModelServer) -> None:
    """A model server that was started anew on another folder."""
    assert labels_of(http.post(URL, data=picture()).json) == LABELS["1"]
    fake.models["pets"] = {1: NEW}
    http.get("/readyz")  # which asks again
    assert labels_of(http.post(URL, data=picture()).json) == LABELS["2"]


def test_all_versions_gone_and_back(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.post(URL, data=picture()).status_code == 200
    fake.models["pets"] = {}
    assert http.post(URL, data=picture()).status_code == 503
    fake.models["pets"] = {3: NEW}
    assert http.post(URL, data=picture()).json["version"] == "3"


@pytest.mark.heavy
def test_two_replicas_that_disagree(settings: Settings, fake: FakeModelServer) -> None:
    """One model server has the new version, the other still the old one: no request fails."""
    from dataclasses import replace

    fake.models["pets"] = {1: OLD}
    with running(FakeModelServer({"pets": {2: NEW}})) as other:
        both = replace(
            settings,
            model_server=f"{fake.address},{other.address}",
            models=("pets",),
            refresh_seconds=0.02,
        )
        http = create_app(both).test_client()
        answers = [http.post(URL, data=picture()) for _ in range(200)]
        assert {answer.status_code for answer in answers} == {200}
        for answer in answers:
            assert labels_of(answer.json) == LABELS[answer.json["version"]]
        assert fake.calls
        assert other.calls
        for number in ("1", "2"):
            pinned = f"/v1/models/pets/versions/{number}:classify"
            answers = [http.post(pinned, data=picture()) for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
