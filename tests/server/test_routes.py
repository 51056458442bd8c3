"""Models, health and metrics."""

from dataclasses import replace

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from contract import manifest as manifests
from contract.settings import Settings
from server.app import create_app
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer


def test_models(http: FlaskClient) -> None:
    assert http.get("/v1/models").json == {
        "models": [
            {"name": "pets", "ready": True, "version": "1"},
            {"name": "absent", "ready": False, "version": None},
        ]
    }


def test_a_model_says_what_it_is(http: FlaskClient) -> None:
    card = http.get("/v1/models/pets").json
    assert (card["name"], card["ready"], card["version"]) == ("pets", True, "1")
    assert card["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    parsed = manifests.parse(manifests.encode(make_manifest()))
    assert card["manifest"]["labels"] == list(parsed.labels)


def test_a_model_without_a_version(http: FlaskClient) -> None:
    card = http.get("/v1/models/absent").json
    assert (card["ready"], card["version"], card["manifest"]) == (False, None, None)


def test_ready_only_with_every_model(settings: Settings, fake: FakeModelServer) -> None:
    http = create_app(settings).test_client()
    assert http.get("/livez").json == {"status": "live"}
    assert http.get("/readyz").status_code == 503
    fake.models["absent"] = {1: make_manifest()}
    assert http.get("/readyz").json == {"status": "ready"}
    fake.models["absent"] = {}
    assert http.get("/readyz").status_code == 503


def test_probes_are_answered_soon(http: FlaskClient, fake: FakeModelServer) -> None:
    http.get("/readyz")
    assert fake.patience[-1] < 2.5


def test_not_ready_without_models(settings: Settings) -> None:
    http = create_app(replace(settings, models=())).test_client()
    assert http.get("/readyz").status_code == 503


def test_no_path_is_redirected(http: FlaskClient) -> None:
    for path in ("/v1//models", "/v1/models/", "/livez/"):
        answer = http.get(path, headers={"Host": "elsewhere.example"})
        assert (answer.status_code, "Location" in answer.headers) == (404, False), path


def samples(http: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_happened(http: FlaskClient) -> None:
    before = samples(http)
    http.post("/v1/models/pets:classify", data=picture())
    http.post("/v1/models/pets:classify", data=b"no image")
    http.post("/v1/models/<script>:classify", data=picture())
    http.get("/anything/at/all")
    after = samples(http)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    route = "/v1/models/<name>:classify"
    for code, count in (("200", 1), ("400", 1), ("404", 1)):
        assert grown("lince_http_requests_total", route=route, method="POST", code=code) == count
    assert grown("lince_http_requests_total", route="unknown", method="GET", code="404") == 1
    assert grown("lince_images_total", outcome="classified") == 1
    assert grown("lince_images_total", outcome="not-an-image") == 1
    assert grown("lince_stage_duration_seconds_count", stage="predict") == 1
    assert (
        sum(
            grown("lince_predictions_total", model="pets", version="1", label=label)
            for label in make_manifest().labels
        )
        == 1
    )
    assert not [key for key in after if "script" in str(key)]  # labels come from closed sets
