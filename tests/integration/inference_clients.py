"""Clients that others wrote for KServe's and Triton's HTTP API, each calling a gateway.

python -m tests.integration.inference_clients NAME HOST:PORT MODEL FILE… prints what the client
found, as JSON. A process of its own: the clients bring modules that patch others.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def triton(address: str, model: str, files: list[bytes]) -> dict[str, Any]:
    """tritonclient.http: encoded images and pixels, JSON and binary."""
    from tritonclient import http
    from tritonclient.utils import InferenceServerException

    client = http.InferenceServerClient(address)
    metadata = client.get_model_metadata(model)
    shape = [1, *metadata["inputs"][0]["shape"][1:]]
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready(model),
        "version ready": client.is_model_ready(model, "1"),
        "none ready": client.is_model_ready("none"),
        "server": client.get_server_metadata()["name"],
        "versions": metadata["versions"],
    }

    def ask(values: np.ndarray, datatype: str, *, binary: bool, outputs: Any = None) -> Any:
        tensor = http.InferInput("images", list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        return client.infer(model, [tensor], outputs=outputs, request_id="one")

    encoded = np.array(files, object)
    for binary in (True, False):
        outputs = [
            http.InferRequestedOutput(name, binary_data=binary)
            for name in ("probabilities", "label")
        ]
        answer = ask(encoded, "BYTES", binary=True, outputs=outputs)
        key = "binary" if binary else "json"
        found[f"probabilities {key}"] = answer.as_numpy("probabilities").tolist()
        found[f"labels {key}"] = [_text(label) for label in answer.as_numpy("label")]
        pixels = ask(np.zeros(shape, np.uint8), "UINT8", binary=binary)
        found[f"pixels {key}"] = pixels.as_numpy("probabilities").tolist()
    found["id"] = answer.get_response()["id"]
    try:
        ask(np.array([b"no image"], object), "BYTES", binary=True)
    except InferenceServerException as error:
        found["error"] = [error.status(), error.message()]
    client.close()
    return found


def kserve(address: str, model: str, files: list[bytes]) -> dict[str, Any]:
    """KServe's InferenceRESTClient: V2 with BYTES and UINT8, and V1."""
    import base64

    import httpx
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    url = f"http://{address}"
    encoded = np.array(files, object)

    def request(values: np.ndarray, datatype: str, *, binary: bool) -> Any:
        tensor = InferInput("images", list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        parameters = {"binary_data_output": binary}
        return InferRequest(model, [tensor], request_id="one", parameters=parameters)

    async def ask() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with InferenceRESTClient(RESTConfig(protocol="v2", verify=False)) as client:
            found["live"] = await client.is_server_live(url)
            found["ready"] = await client.is_server_ready(url)
            found["model ready"] = await client.is_model_ready(url, model)
            found["none ready"] = await client.is_model_ready(url, "none")
            for binary in (True, False):
                key = "binary" if binary else "json"
                # In JSON bytes are text: base64.
                texts = np.array([base64.b64encode(file) for file in files], object)
                values = encoded if binary else texts
                answer = await client.infer(url, request(values, "BYTES", binary=binary), model)
                outputs = {output.name: output.as_numpy() for output in answer.outputs}
                found[f"probabilities {key}"] = outputs["probabilities"].tolist()
                found[f"labels {key}"] = [_text(label) for label in outputs["label"]]
            found["id"] = answer.id
            try:
                bad = request(np.array([b"no image"], object), "BYTES", binary=True)
                await client.infer(url, bad, model)
            except httpx.HTTPStatusError as error:
                found["error"] = [str(error.response.status_code), str(error)]
        async with InferenceRESTClient(RESTConfig(protocol="v1", verify=False)) as client:
            found["v1 ready"] = await client.is_model_ready(url, model)
            instances = [{"b64": base64.b64encode(file).decode()} for file in files]
            answer = await client.infer(url, {"instances": instances}, model)
            found["v1"] = answer["predictions"]
        return found

    return asyncio.run(ask())


def _text(label: Any) -> str:
    return label.decode() if isinstance(label, bytes) else str(label)


CLIENTS: dict[str, Callable[[str, str, list[bytes]], dict[str, Any]]] = {
    "triton": triton,
    "kserve": kserve,
}

if __name__ == "__main__":
    name, address, model, *paths = sys.argv[1:]
    print(json.dumps(CLIENTS[name](address, model, [Path(path).read_bytes() for path in paths])))
