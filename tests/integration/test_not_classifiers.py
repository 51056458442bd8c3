"""Feature extractors and regressions: trained, exported and asked over the model server's APIs."""

import json
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from contract.run_folder import RunFolder
from contract.wire import serving_pb2 as pb
from contract.wire.stubs import CHANNEL_OPTIONS, model_server_stubs
from contract.wire.tensors import to_array, to_tensor
from server.ports import free_port
from tests.integration.processes import gateway, get, model_server, post, run_all

pytestmark = pytest.mark.integration
NAMES = ("single-neuron", "tema3-block", "tema3-conv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    variables = {f"LINCE_{name.upper()}_DIR": str(folder / name) for name in ("models", "runs")}
    commands = [(verb, name) for name in NAMES for verb in ("train", "export")]
    done = run_all(commands, LINCE_CACHE_DIR=str(folder / "cache"), **variables)
    assert done.returncode == 0, done.stderr
    return folder


def run_of(made: Path, name: str) -> RunFolder:
    return RunFolder(next((made / "runs" / name).iterdir()))


def over_grpc(address: str, name: str, key: str, inputs: np.ndarray, output: str) -> np.ndarray:
    request = pb.PredictRequest()
    request.model_spec.name = name
    request.inputs[key].CopyFrom(to_tensor(inputs))
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        response = model_server_stubs(channel).predict(request, timeout=60)
    return to_array(response.outputs[output])


def over_rest(port: int, name: str, key: str, inputs: np.ndarray) -> list[np.ndarray]:
    """The same by row and by column."""
    url = f"http://127.0.0.1:{port}/v1/models/{name}:predict"
    with httpx.Client(verify=False, timeout=120) as client:
        rows = client.post(url, content=json.dumps({"instances": inputs.tolist()}))
        columns = client.post(url, content=json.dumps({"inputs": {key: inputs.tolist()}}))
    assert (rows.status_code, columns.status_code) == (200, 200), rows.text[:500]
    return [np.array(rows.json()["predictions"]), np.array(columns.json()["outputs"])]


def test_they_answer_over_grpc_and_rest_as_the_run_says(made: Path, tmp_path: Path) -> None:
    port = free_port()
    with model_server(made / "models", NAMES, tmp_path, f"--rest_api_port={port}") as (_, address):
        for name in NAMES:
            said = run_of(made, name)
            inputs, expected = np.asarray(said.test_set()[0][:2]), said.outputs()[:2]
            task = said.manifest().task
            key, output = ("x", "y") if task == "regression" else ("images", "features")
            answers = [over_grpc(address, name, key, inputs, output)]
            if name != "tema3-conv":  # megabytes of JSON, to show the same
                answers += over_rest(port, name, key, inputs)
            for answer in answers:
                np.testing.assert_allclose(answer, expected, atol=1e-5, rtol=1e-5)
        ten = np.array([[10.0]], np.float32)
        for answer in (
            over_grpc(address, "single-neuron", "x", ten, "y"),
            *over_rest(port, "single-neuron", "x", ten),
        ):
            assert answer.item() == pytest.approx(19, abs=0.1)
        # Any height and width: padding keeps them.
        odd = np.zeros((1, 31, 47, 3), np.uint8)
        features = over_grpc(address, "tema3-conv", "images", odd, "features")
        assert features.shape == (1, 31, 47, 16)


def test_the_gateway_serves_beside_them_and_refuses_to_classify(made: Path, tmp_path: Path) -> None:
    with (
        model_server(made / "models", NAMES, tmp_path) as (_, address),
        gateway(NAMES, address, tmp_path) as (_, url),
    ):
        assert {model["name"] for model in get(f"{url}/v1/models").json()["models"]} == set(NAMES)
        for name in NAMES:
            answer = post(f"{url}/v1/models/{name}:classify", b"whatever")
            assert answer.status_code == 422
            assert answer.json()["type"] == "urn:lince:problem:not-a-classifier"
