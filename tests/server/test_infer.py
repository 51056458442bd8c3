"""The Open Inference Protocol (V2), by its documented bytes; the clients are in integration."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from contract.settings import Settings
from server.app import create_app
from tests.server.fake_model_server import FakeModelServer
from tests.server.samples import DARK, LIGHT, MIDDLE, b64, nested

URL = "/v2/models/pets/infer"
LENGTH = "Inference-Header-Content-Length"
ROWS = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]], np.float32)


def encoded(*files: bytes, shape: list[int] | None = None) -> dict:
    data = [b64(file) for file in files]
    shape = [len(files)] if shape is None else shape
    return {"name": "images", "datatype": "BYTES", "shape": shape, "data": data}


def packed(*strings: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(string)) + string for string in strings)


def with_binary(body: dict, binary: bytes) -> dict[str, Any]:
    """What FlaskClient.post takes, for a body with binary data behind its JSON."""
    text = json.dumps(body).encode()
    return {"data": text + binary, "headers": {LENGTH: str(len(text))}}


def binary_input(datatype: str, shape: list[int], size: int) -> dict:
    parameters = {"binary_data_size": size}
    return {"name": "images", "datatype": datatype, "shape": shape, "parameters": parameters}


PIXELS = np.stack([np.array(nested(10), np.uint8), np.array(nested(128), np.uint8)])
FILES = packed(DARK, MIDDLE)


@pytest.mark.parametrize(
    "request_form",
    [
        {"json": {"inputs": [encoded(DARK, MIDDLE)]}},
        {"json": {"inputs": [encoded(DARK, MIDDLE, shape=[2, 1])]}},
        {
            "json": {
                "inputs": [
                    encoded(DARK, MIDDLE, shape=[2, 1]) | {"data": [[b64(DARK)], [b64(MIDDLE)]]}
                ]
            }
        },
        {
            "json": {
                "inputs": [
                    {
                        "name": "images",
                        "datatype": "UINT8",
                        "shape": [2, 8, 8, 3],
                        "data": PIXELS.ravel().tolist(),
                    }
                ]
            }
        },
        {
            "json": {
                "inputs": [
                    {
                        "name": "images",
                        "datatype": "UINT8",
                        "shape": [2, 8, 8, 3],
                        "data": PIXELS.tolist(),
                    }
                ]
            }
        },
        with_binary(
            {"inputs": [binary_input("UINT8", [2, 8, 8, 3], PIXELS.nbytes)]}, PIXELS.tobytes()
        ),
        with_binary({"inputs": [binary_input("BYTES", [2], len(FILES))]}, FILES),
    ],
    ids=["json", "json column", "nested column", "numbers", "nested", "binary pixels", "binary"],
)
def test_every_form_of_the_input(http: FlaskClient, request_form: dict) -> None:
    answer = http.post(URL, **request_form)
    assert answer.status_code == 200, answer.text
    found = answer.json
    assert (found["model_name"], found["model_version"]) == ("pets", "1")
    probabilities, label = found["outputs"]
    assert probabilities.pop("data") == pytest.approx(ROWS.ravel().tolist())
    assert probabilities == {"name": "probabilities", "datatype": "FP32", "shape": [2, 3]}
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["cat", "dog"]}


def read_binary(answer: TestResponse) -> tuple[dict, dict[str, bytes]]:
    length = int(answer.headers[LENGTH])
    found, rest = json.loads(answer.data[:length]), answer.data[length:]
    binaries = {}
    for output in found["outputs"]:
        if "parameters" in output:
            size = output["parameters"]["binary_data_size"]
            binaries[output["name"]], rest = rest[:size], rest[size:]
    assert not rest
    return found, binaries


@pytest.mark.parametrize(
    "choice",
    [
        {"parameters": {"binary_data_output": True}},
        {
            "outputs": [
                {"name": "label", "parameters": {"binary_data": True}},
                {"name": "probabilities", "parameters": {"binary_data": True}},
            ]
        },
    ],
)
def test_binary_outputs(http: FlaskClient, choice: dict) -> None:
    answer = http.post(URL, json={"inputs": [encoded(DARK, MIDDLE)], **choice})
    found, binaries = read_binary(answer)
    assert answer.content_type == "application/octet-stream"
    assert all("data" not in output for output in found["outputs"])
    rows = np.frombuffer(binaries["probabilities"], "<f4").reshape(2, 3)
    np.testing.assert_allclose(rows, ROWS)
    assert binaries["label"] == packed(b"cat", b"dog")


def test_outputs_are_chosen_and_mixed(http: FlaskClient) -> None:
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    found, binaries = read_binary(
        http.post(URL, json={"inputs": [encoded(DARK)], "outputs": outputs})
    )
    assert found["outputs"][1]["data"] == ["cat"]
    assert list(binaries) == ["probabilities"]
    only = http.post(URL, json={"inputs": [encoded(DARK)], "outputs": [{"name": "label"}]}).json
    assert [output["name"] for output in only["outputs"]] == ["label"]


def test_the_id_comes_back(http: FlaskClient) -> None:
    body = {"inputs": [encoded(DARK)]}
    assert http.post(URL, json={**body, "id": "a-1"}).json["id"] == "a-1"
    assert "id" not in http.post(URL, json=body).json


def test_one_version(http: FlaskClient) -> None:
    body = {"inputs": [encoded(DARK)]}
    assert http.post("/v2/models/pets/versions/1/infer", json=body).status_code == 200
    missing = http.post("/v2/models/pets/versions/9/infer", json=body)
    assert (missing.status_code, missing.json) == (
        404,
        {"error": "model pets has no version 9"},
    )


def without(entry: dict, *names: str) -> dict:
    return {name: value for name, value in entry.items() if name not in names}


ONE = encoded(DARK)
NUMBERS = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3]}
BAD: list[tuple[dict, int, str]] = [
    ({"data": b""}, 400, "JSON"),
    ({"data": b"[" * 2000}, 400, "JSON"),
    ({"data": b"[" * 100_000}, 400, "more numbers"),
    ({"json": {}}, 400, "inputs"),
    ({"json": {"inputs": []}}, 400, "'images'"),
    ({"json": {"inputs": [ONE, ONE]}}, 400, "one is expected"),
    ({"json": {"inputs": [ONE | {"name": "x"}]}}, 400, "'images'"),
    ({"json": {"inputs": [ONE | {"datatype": "FP32"}]}}, 400, "BYTES or UINT8"),
    ({"json": {"inputs": [ONE | {"shape": []}]}}, 400, "shape"),
    ({"json": {"inputs": [ONE | {"shape": [-1]}]}}, 400, "shape"),
    ({"json": {"inputs": [ONE | {"shape": [0], "data": []}]}}, 422, "no image"),
    ({"json": {"inputs": [ONE | {"shape": [2]}]}}, 400, "1 elements"),
    ({"json": {"inputs": [ONE | {"shape": [1, 2]}]}}, 400, "[N, 1]"),
    ({"json": {"inputs": [ONE | {"shape": [5]}]}}, 422, "at most 4"),
    ({"json": {"inputs": [ONE | {"shape": [10**30]}]}}, 422, "at most 4"),
    ({"json": {"inputs": [without(ONE, "data")]}}, 400, "binary_data_size"),
    ({"json": {"inputs": [ONE | {"data": ["?"]}]}}, 400, "image 0: not base64"),
    ({"json": {"inputs": [ONE | {"data": [1]}]}}, 400, "JSON"),
    ({"json": {"inputs": [encoded(DARK, b"x")]}}, 400, "image 1: the data is in no known"),
    ({"json": {"inputs": [NUMBERS | {"data": [1] * 191}]}}, 400, "191 elements"),
    ({"json": {"inputs": [NUMBERS | {"data": [256] * 192}]}}, 400, "whole numbers"),
    ({"json": {"inputs": [NUMBERS | {"data": ["1"] * 192}]}}, 400, "Expected `int | float`"),
    ({"json": {"inputs": [NUMBERS | {"data": [[1], [1, 2]]}]}}, 400, "Expected `array`"),
    ({"json": {"inputs": [NUMBERS | {"data": [[[[1], [1, 2]]]]}]}}, 400, "no array"),
    (
        {"json": {"inputs": [NUMBERS | {"shape": [1, 8, 8], "data": [1] * 64}]}},
        400,
        "channels",
    ),
    (
        {"json": {"inputs": [NUMBERS | {"shape": [1, 8, 8, 1], "data": [1] * 64}]}},
        400,
        "image 0: pixels of the shape 8×8×1, the model wants 8×8×3",
    ),
    ({"json": {"inputs": [ONE], "outputs": [{"name": "y"}]}}, 422, "probabilities and label"),
    ({"json": {"inputs": [ONE], "outputs": [{"name": "label"}] * 2}}, 422, "twice"),
    (
        {
            "json": {
                "inputs": [ONE],
                "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}],
            }
        },
        422,
        "classification",
    ),
    ({"json": {"inputs": [ONE], "parameters": {"binary_data_output": 1}}}, 422, "true or false"),
    (with_binary({"inputs": [ONE]}, b"x"), 400, "bytes behind the JSON"),
    (with_binary({"inputs": [binary_input("BYTES", [1], 3)]}, b"abc"), 400, "within a length"),
    (
        with_binary({"inputs": [binary_input("BYTES", [1], 5)]}, b"\xff\xff\xff\xffa"),
        400,
        "within an element",
    ),
    (with_binary({"inputs": [binary_input("BYTES", [1], 9)]}, b"abc"), 400, "3 bytes came"),
    (
        with_binary({"inputs": [binary_input("UINT8", [1, 8, 8, 3], 191)]}, bytes(191)),
        400,
        "191 elements",
    ),
    # Each of many texts would get the room of the longest.
    (
        {"json": {"inputs": [NUMBERS | {"data": ["x" * 1000, *"y" * 191]}]}},
        400,
        "Expected `int | float`",
    ),
    ({"json": {"inputs": [NUMBERS | {"data": [[[["x"]]]]}]}}, 400, "Expected `int | float`"),
    (
        with_binary({"inputs": [binary_input("BYTES", [2], 4000)]}, bytes(4000)),
        400,
        "more elements than the shape",
    ),
    ({"data": b"{}", "headers": {LENGTH: "3"}}, 400, LENGTH),
    ({"data": b"{}", "headers": {LENGTH: "-1"}}, 400, LENGTH),
    ({"data": b"{}", "headers": {LENGTH: "x"}}, 400, LENGTH),
    ({"data": b"{}", "headers": {LENGTH: "9" * 5000}}, 400, LENGTH),
]


@pytest.mark.parametrize(("request_form", "status", "words"), BAD)
def test_bad_requests(
    http: FlaskClient, fake: FakeModelServer, request_form: dict, status: int, words: str
) -> None:
    answer = http.post(URL, **request_form)
    assert answer.status_code == status, answer.text
    assert list(answer.json) == ["error"]
    assert words in answer.json["error"]
    assert not [call for call in fake.calls if call[2] == "serving_default"]


def test_the_server(http: FlaskClient) -> None:
    found = http.get("/v2").json
    assert (found["name"], found["extensions"]) == ("lince", ["binary_tensor_data"])
    assert http.get("/v2/health/live").json == {"live": True}


def test_ready(http: FlaskClient, settings: Settings, fake: FakeModelServer) -> None:
    answer = http.get("/v2/health/ready")
    assert (answer.status_code, list(answer.json)) == (503, ["error"])
    fake.models["absent"] = fake.models["pets"]
    assert http.get("/v2/health/ready").json == {"ready": True}
    stopping = create_app(settings, stopping=lambda: True).test_client()
    assert stopping.get("/v2/health/ready").status_code == 503


def test_a_model(http: FlaskClient, fake: FakeModelServer) -> None:
    fake.models["pets"][2] = fake.models["pets"][1]
    found = http.get("/v2/models/pets").json
    assert (found["name"], found["versions"]) == ("pets", ["1", "2"])
    assert found["platform"] == "tensorflow_savedmodel"
    (tensor,) = found["inputs"]
    assert (tensor["name"], tensor["datatype"]) == ("images", "UINT8")
    assert tensor["shape"] == [-1, 8, 8, 3]
    assert [(each["name"], each["datatype"], each["shape"]) for each in found["outputs"]] == [
        ("probabilities", "FP32", [-1, 3]),
        ("label", "BYTES", [-1]),
    ]
    assert http.get("/v2/models/pets/versions/2").json["name"] == "pets"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/pets/ready", 200),
        ("/v2/models/pets/versions/1/ready", 200),
        ("/v2/models/pets/versions/5/ready", 404),
        ("/v2/models/absent/ready", 503),
        ("/v2/models/nobody/ready", 404),
        ("/v2/models/nobody", 404),
        ("/v2/models/pets/versions/x/ready", 404),
        ("/v2/nowhere", 404),
    ],
)
def test_addresses(http: FlaskClient, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    assert list(answer.json) == (["name", "ready"] if status == 200 else ["error"])


def test_a_version_that_went_is_not_ready(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.get("/v2/models/pets/versions/1/ready").status_code == 200
    fake.models["pets"] = {2: fake.models["pets"][1]}
    assert http.get("/v2/models/pets/versions/1/ready").status_code == 503


def test_light(http: FlaskClient) -> None:
    answer = http.post(URL, json={"inputs": [encoded(LIGHT)]})
    assert answer.json["outputs"][1]["data"] == ["owl"]
