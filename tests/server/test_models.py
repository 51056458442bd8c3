"""Which version is meant: the default model, labels, a canary; artifacts that others made."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from contract.settings import Settings
from contract.wire import serving_pb2 as pb
from server.app import create_app
from tests.integration.processes import wait_until
from tests.manifests import make_manifest
from tests.server.conftest import settled
from tests.server.fake_model_server import FakeModelServer
from tests.server.samples import DARK, LIGHT, MIDDLE, b64, nested

URL = "/v1/models/pets:classify"
OLD = make_manifest(("cat", "dog", "owl"))
NEW = make_manifest(("alpha", "beta"), side=6, channels=1)


def gateway(settings: Settings, **changes: Any) -> FlaskClient:
    return create_app(replace(settings, **changes)).test_client()


# The default model.


def test_the_only_model_is_the_default(settings: Settings) -> None:
    http = gateway(settings, models=("pets",))
    assert http.post("/v1/classify", data=LIGHT).json["model"] == "pets"
    answer = http.post("/v1/predict", json={"instances": [nested(10)]})
    assert list(answer.json) == ["predictions"]


def test_the_default_model_by_its_setting(http: FlaskClient, settings: Settings) -> None:
    none = http.post("/v1/classify", data=LIGHT)
    assert (none.status_code, none.json["type"]) == (404, "urn:lince:problem:unknown-model")
    chosen = gateway(settings, default_model="pets")
    assert chosen.post("/v1/classify", data=LIGHT).json["results"][0]["label"] == "owl"


# Labels.


def test_a_label_in_the_path(http: FlaskClient, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"first": 1, "second": 2}
    for label, number in (("first", "1"), ("second", "2")):
        answer = http.post(f"/v1/models/pets/labels/{label}:classify", data=DARK)
        assert (answer.json["version"], answer.headers["X-Model-Version"]) == (number, number)
    answer = http.post(
        "/v1/models/pets/labels/second:predict", json={"inputs": [{"b64": b64(DARK)}]}
    )
    assert len(answer.json["outputs"][0]) == 2


@pytest.mark.parametrize("label", ["other", "no-label", "%20", "<script>"])
def test_an_unknown_label(http: FlaskClient, fake: FakeModelServer, label: str) -> None:
    fake.labels["pets"] = {"first": 1}
    answer = http.post(f"/v1/models/pets/labels/{label}:classify", data=DARK)
    assert (answer.status_code, answer.json["type"]) == (404, "urn:lince:problem:unknown-label")


def test_a_label_of_a_version_that_is_not_there(http: FlaskClient, fake: FakeModelServer) -> None:
    fake.labels["pets"] = {"gone": 9}
    answer = http.post("/v1/models/pets/labels/gone:classify", data=DARK)
    assert (answer.status_code, answer.json["type"]) == (404, "urn:lince:problem:unknown-label")


def test_a_label_of_a_model_without_versions(http: FlaskClient) -> None:
    answer = http.post("/v1/models/absent/labels/first:classify", data=DARK)
    assert answer.status_code == 503
    assert http.post("/v1/models/nobody/labels/first:classify", data=DARK).status_code == 404


def test_labels_are_known_and_followed(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"live": 1}
    url = "/v1/models/pets/labels/live:classify"
    http = settled(settings, fake)
    assert http.post(url, data=DARK).json["version"] == "1"
    fake.calls.clear()
    assert http.post(url, data=DARK).json["version"] == "1"
    assert [call[2] for call in fake.calls if call[0] == "pets"] == ["serving_default"]
    # Its version goes while it points elsewhere already.
    fake.models["pets"], fake.labels["pets"] = {2: NEW}, {"live": 2}
    assert http.post(url, data=DARK).json["version"] == "2"


def test_a_label_that_moves_is_noticed_in_the_background(
    settings: Settings, fake: FakeModelServer
) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"live": 1}
    url = "/v1/models/pets/labels/live:classify"
    http = gateway(settings, refresh_seconds=0.05)
    assert http.post(url, data=DARK).json["version"] == "1"
    fake.labels["pets"] = {"live": 2}
    wait_until(lambda: http.post(url, data=DARK).json["version"] == "2", "the label")
    fake.labels["pets"] = {}
    wait_until(lambda: http.post(url, data=DARK).status_code == 404, "the label's end")


# The canary.


def answered(http: FlaskClient, keys: int = 200) -> dict[str, set[str]]:
    """The keys by the version that answered them."""
    found: dict[str, set[str]] = {}
    for key in map(str, range(keys)):
        answer = http.post(URL, data=DARK, headers={"X-Canary-Key": key})
        assert answer.status_code == 200
        track = answer.headers["X-Model-Track"]
        assert answer.json["track"] == track
        found.setdefault(f"{track} {answer.json['version']}", set()).add(key)
    return found


@pytest.mark.heavy
def test_a_share_goes_to_the_canary(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2}
    few = answered(gateway(settings, canary=("pets=canary:20",)))
    # The stable one is the newest beside the canary's.
    assert set(few) == {"stable 1", "canary 2"}
    assert 0.1 < len(few["canary 2"]) / 200 < 0.3
    # A key stays where it is while the share grows, in every process.
    more = answered(gateway(settings, canary=("pets=canary:60",)))
    assert few["canary 2"] < more["canary 2"]


@pytest.mark.parametrize(("percent", "version"), [("0", "1"), ("100", "2")])
def test_none_and_all(
    settings: Settings, fake: FakeModelServer, percent: str, version: str
) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2}
    http = gateway(settings, canary=(f"pets=canary:{percent}",))
    assert {http.post(URL, data=DARK).json["version"] for _ in range(50)} == {version}


def test_without_a_key_the_request_id_decides(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2}
    http = gateway(settings, canary=("pets=canary:50",))
    assert {http.post(URL, data=DARK).json["version"] for _ in range(50)} == {"1", "2"}
    same = [http.post(URL, data=DARK, headers={"X-Request-Id": "a"}) for _ in range(20)]
    assert len({answer.json["version"] for answer in same}) == 1


def test_the_label_stable_wins(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: OLD, 3: NEW}
    fake.labels["pets"] = {"stable": 1, "canary": 3}
    http = gateway(settings, canary=("pets=canary:50",))
    assert set(answered(http, 40)) == {"stable 1", "canary 3"}


def test_an_unassigned_label_is_answered_by_the_stable_version(
    settings: Settings, fake: FakeModelServer
) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    http = settled(replace(settings, canary=("pets=canary:100",)), fake)
    assert set(answered(http, 5)) == {"stable 2"}
    fake.calls.clear()
    assert set(answered(http, 5)) == {"stable 2"}
    # Nobody asks for the label at every request.
    assert {call[2] for call in fake.calls if call[0] == "pets"} == {"serving_default"}


def test_a_canary_alone_is_everybody_s(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {2: NEW}
    fake.labels["pets"] = {"canary": 2}
    http = gateway(settings, canary=("pets=canary:10",))
    assert {http.post(URL, data=DARK).json["version"] for _ in range(10)} == {"2"}


def test_a_canary_that_goes(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2}
    http = gateway(settings, canary=("pets=canary:100",))
    assert set(answered(http, 3)) == {"canary 2"}
    fake.models["pets"], fake.labels["pets"] = {1: OLD}, {}
    assert set(answered(http, 3)) == {"stable 1"}


def test_a_canary_s_start_and_end_are_noticed(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    http = gateway(settings, canary=("pets=canary:100",), refresh_seconds=0.05)
    for labels, track in (({"canary": 2}, "canary"), ({}, "stable"), ({"canary": 1}, "canary")):
        fake.labels["pets"] = labels
        wait_until(
            lambda track=track: http.post(URL, data=DARK).json["track"] == track, f"to be {track}"
        )


def test_who_names_a_version_gets_it(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2, "first": 1}
    http = gateway(settings, canary=("pets=canary:100",))
    for path in ("versions/1", "labels/first"):
        answer = http.post(f"/v1/models/pets/{path}:classify", data=DARK)
        assert answer.json["version"] == "1"
        assert "track" not in answer.json
        assert "X-Model-Track" not in answer.headers


def test_the_protocols_have_the_canary_too(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: NEW}
    fake.labels["pets"] = {"canary": 2}
    http = gateway(settings, canary=("pets=canary:100",))
    answer = http.post("/v1/models/pets:predict", json={"instances": [{"b64": b64(DARK)}]})
    assert answer.headers["X-Model-Track"] == "canary"
    tensor = {"name": "images", "datatype": "BYTES", "shape": [1], "data": [b64(DARK)]}
    answer = http.post("/v2/models/pets/infer", json={"inputs": [tensor]})
    assert (answer.json["model_version"], answer.json["parameters"]) == ("2", {"track": "canary"})


# Artifacts without `describe`.


def signature(
    dtype: int = pb.DT_UINT8,
    shape: tuple[int, ...] = (-1, 8, 8, 3),
    outputs: tuple[tuple[int, tuple[int, ...]], ...] = ((pb.DT_FLOAT, (-1, 3)),),
) -> pb.SignatureDef:
    made = pb.SignatureDef()
    tensors = [(made.inputs["x"], dtype, shape)]
    tensors += [(made.outputs[f"y{n}"], *output) for n, output in enumerate(outputs)]
    for info, kind, sizes in tensors:
        info.dtype = kind
        for size in sizes:
            info.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize("dtype", [pb.DT_UINT8, pb.DT_FLOAT])
@pytest.mark.parametrize("classes", [3, -1])
def test_an_artifact_without_describe(
    settings: Settings, fake: FakeModelServer, dtype: int, classes: int
) -> None:
    fake.foreign = signature(dtype, outputs=((pb.DT_FLOAT, (-1, classes)),))
    http = gateway(settings, models=("pets",))
    answer = http.post(f"{URL}?probabilities=true", data=LIGHT).json
    (result,) = answer["results"]
    assert (answer["version"], answer["labels"]) == ("1", ["0", "1", "2"])
    assert (result["label"], result["probability"]) == ("2", pytest.approx(0.9))
    assert http.get("/readyz").status_code == 200
    card = http.get("/v1/models/pets").json
    assert (card["ready"], card["version"], card["manifest"]) == (True, "1", None)
    metadata = http.get("/v2/models/pets").json
    assert (metadata["inputs"][0]["name"], metadata["inputs"][0]["shape"]) == ("x", [-1, 8, 8, 3])
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": [b64(LIGHT)]}
    assert http.post("/v2/models/pets/infer", json={"inputs": [tensor]}).status_code == 200


def test_other_outputs_do_not_matter(settings: Settings, fake: FakeModelServer) -> None:
    others = ((pb.DT_FLOAT, (-1, 3)), (pb.DT_STRING, (-1, 3)), (pb.DT_FLOAT, (-1, 4, 4, 8)))
    fake.foreign = signature(outputs=others)
    assert gateway(settings).post(URL, data=LIGHT).status_code == 200


@pytest.mark.parametrize(
    "foreign",
    [
        signature(pb.DT_STRING, (-1,)),
        signature(pb.DT_INT32),
        signature(shape=(-1, 8, 8)),
        signature(shape=(-1, 8, 8, 4)),
        signature(shape=(1, 8, 8, 3)),
        signature(shape=(-1, 8, -1, 3)),
        signature(shape=(-1, 0, 8, 3)),
        signature(outputs=()),
        signature(outputs=((pb.DT_FLOAT, (-1, 1)),)),
        signature(outputs=((pb.DT_FLOAT, (-1, 3)), (pb.DT_FLOAT, (-1, 2)))),
        pb.SignatureDef(),
    ],
)
def test_artifacts_that_classify_no_images(
    settings: Settings, fake: FakeModelServer, foreign: pb.SignatureDef
) -> None:
    fake.foreign = foreign
    if not foreign.inputs:
        fake.foreign.inputs["x"].dtype = pb.DT_INVALID
    http = gateway(settings, models=("pets",))
    for answer in (
        http.post(URL, data=LIGHT),
        http.post("/v1/models/pets:predict", json={"instances": [{"b64": b64(LIGHT)}]}),
    ):
        assert (answer.status_code, answer.json["type"]) == (
            422,
            "urn:lince:problem:not-a-classifier",
        )
    assert http.get("/readyz").status_code == 200
    assert http.get("/v2/models/pets").status_code == 422


def test_describe_is_not_asked_for_again_and_again(
    settings: Settings, fake: FakeModelServer
) -> None:
    fake.foreign = signature()
    http = gateway(settings, models=("pets",))
    for _ in range(5):
        assert http.get("/readyz").status_code == 200
    assert len([call for call in fake.calls if call[2] == "describe"]) <= 2  # and the background's


def test_versions_of_both_kinds(settings: Settings, fake: FakeModelServer) -> None:
    """A model is published anew, by Lince this time."""
    fake.foreign = signature()
    http = gateway(settings, models=("pets",))
    assert http.post(URL, data=LIGHT).json["results"][0]["label"] == "2"
    fake.foreign, fake.models["pets"] = None, {2: OLD}
    answer = http.post(URL, data=LIGHT).json
    assert (answer["version"], answer["results"][0]["label"]) == ("2", "owl")


def test_any_size(settings: Settings, fake: FakeModelServer) -> None:
    """Pictures of several sizes are several calls."""
    fake.foreign = signature(shape=(-1, -1, -1, 3))
    fake.models["pets"] = {1: replace(OLD, input=replace(OLD.input, height=None, width=None))}
    http = gateway(settings)
    sizes = [np.array(nested(10, side=side)).tolist() for side in (3, 3, 5)]
    answer = http.post("/v1/models/pets:predict", json={"instances": sizes})
    assert answer.status_code == 200
    shapes = [call[3] for call in fake.calls if call[2] == "serving_default"]
    assert shapes == [(2, 3, 3, 3), (1, 5, 5, 3)]


# More images than a call takes, and answers that are known.


def parts(*files: bytes) -> dict:
    return {"images": [b64(file) for file in files]}


def test_many_images_are_split(settings: Settings, fake: FakeModelServer) -> None:
    http = gateway(settings, max_batch=2)
    answer = http.post(URL, json=parts(DARK, MIDDLE, LIGHT)).json
    assert [result["label"] for result in answer["results"]] == ["cat", "dog", "owl"]
    assert [call[3][0] for call in fake.calls if call[2] == "serving_default"] == [2, 1]


def test_a_smaller_limit_is_learned(settings: Settings, fake: FakeModelServer) -> None:
    fake.most_rows = 2
    http = gateway(settings)
    for expected in ([4, 2, 2], [2, 2]):
        fake.calls.clear()
        answer = http.post(URL, json=parts(DARK, MIDDLE, LIGHT, DARK)).json
        assert [result["label"] for result in answer["results"]] == ["cat", "dog", "owl", "cat"]
        assert [call[3][0] for call in fake.calls if call[2] == "serving_default"] == expected


def test_a_limit_that_makes_no_sense(settings: Settings, fake: FakeModelServer) -> None:
    fake.most_rows = 0
    assert gateway(settings).post(URL, data=DARK).status_code == 502


def predictions(fake: FakeModelServer) -> list[tuple[int, ...]]:
    return [call[3] for call in fake.calls if call[2] == "serving_default"]


def test_known_answers_cost_no_call(settings: Settings, fake: FakeModelServer) -> None:
    http = gateway(settings, cache_answers=10)
    first = http.post(URL, data=DARK).json
    again = http.post(URL, data=DARK).json
    assert first["results"] == again["results"]
    assert predictions(fake) == [(1, 8, 8, 3)]
    # Other bytes, the same pixels.
    pixels = http.post("/v1/models/pets:predict", json={"instances": [nested(10)]}).json
    assert pixels["predictions"][0][0] == pytest.approx(0.9)
    assert len(predictions(fake)) == 1


def test_only_what_is_missing_is_asked(settings: Settings, fake: FakeModelServer) -> None:
    http = gateway(settings, cache_answers=10)
    http.post(URL, data=MIDDLE)
    answer = http.post(URL, json=parts(DARK, MIDDLE, DARK, LIGHT)).json
    assert [result["label"] for result in answer["results"]] == ["cat", "dog", "cat", "owl"]
    assert predictions(fake) == [(1, 8, 8, 3), (2, 8, 8, 3)]


def test_the_oldest_answer_is_dropped(settings: Settings, fake: FakeModelServer) -> None:
    http = gateway(settings, cache_answers=2)
    for file in (DARK, MIDDLE, DARK, LIGHT, DARK):  # MIDDLE is the oldest when LIGHT comes
        http.post(URL, data=file)
    assert len(predictions(fake)) == 3
    http.post(URL, data=MIDDLE)
    assert len(predictions(fake)) == 4


def test_an_answer_belongs_to_a_version(settings: Settings, fake: FakeModelServer) -> None:
    fake.models["pets"] = {1: OLD, 2: make_manifest(("x", "y", "z"))}
    http = gateway(settings, cache_answers=10)
    for number, label in (("1", "cat"), ("2", "x"), ("1", "cat")):
        answer = http.post(f"/v1/models/pets/versions/{number}:classify", data=DARK).json
        assert answer["results"][0]["label"] == label
    assert len(predictions(fake)) == 2


def test_nothing_is_kept_unless_asked_for(http: FlaskClient, fake: FakeModelServer) -> None:
    http.post(URL, data=DARK)
    http.post(URL, data=DARK)
    assert len(predictions(fake)) == 2
