"""Clients that others wrote for TensorFlow Serving, each in a process of its own:

    python -m tests.integration.foreign_clients NAME GRPC_ADDRESS REST_ADDRESS

asks the models of tests.conformance.models, and prints what the client made of the answers as JSON.
They bring modules of their own for TensorFlow's messages, which must not meet those of others.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

X = np.array([[2.0], [4.0]], np.float32)
IMAGES = np.zeros((2, 8, 8, 3), np.uint8)


def ovms(client: Any, errors: Any) -> dict[str, Any]:
    """ovmsclient, by gRPC or REST: its methods are the same."""
    # Without a version it asks for version 0, which means the newest to OpenVINO's server alone.
    found: dict[str, Any] = {
        "y": client.predict({"x": X}, "half_plus_two", 123).tolist(),
        "probabilities": client.predict({"images": IMAGES}, "images", 1).tolist(),
        "length": client.predict({"text": np.array(["a", "bc"])}, "texts", 1)["length"].tolist(),
        "status": client.get_model_status("versions", 2),
        "metadata": client.get_model_metadata("images", 1),
    }
    try:
        client.predict({"x": X}, "none", 1)
    except errors.ModelNotFoundError as error:
        found["missing"] = str(error)
    try:
        client.predict({"z": X}, "half_plus_two", 123)
    except errors.InvalidInputError as error:
        found["wrong"] = str(error)
    return found


def ovms_grpc(grpc_address: str, _rest: str) -> dict[str, Any]:
    import ovmsclient

    client = ovmsclient.make_grpc_client(grpc_address)
    return {
        **ovms(client, ovmsclient),
        "version 1": client.predict({"x": X[:, 0]}, "versions", 1).tolist(),
        "version 2": client.predict({"x": X[:, 0]}, "versions", 2).tolist(),
    }


def ovms_http(_grpc: str, rest_address: str) -> dict[str, Any]:
    import ovmsclient

    return ovms(ovmsclient.make_http_client(rest_address), ovmsclient)


def min_tfs(grpc_address: str, _rest: str) -> dict[str, Any]:
    """min-tfs-client: sends tensors in typed lists or content, as it likes."""
    from min_tfs_client.requests import TensorServingClient
    from min_tfs_client.tensors import tensor_proto_to_ndarray

    host, port = grpc_address.split(":")
    client = TensorServingClient(host, int(port))

    def predict(model: str, version: int | None = None, **inputs: np.ndarray) -> dict[str, Any]:
        response = client.predict_request(model, inputs, 60, version)
        outputs = {name: tensor_proto_to_ndarray(t) for name, t in response.outputs.items()}
        assert response.model_spec.name == model
        return {name: value.tolist() for name, value in outputs.items()}

    return {
        "y": predict("half_plus_two", x=X)["y"],
        "probabilities": predict("images", images=IMAGES)["probabilities"],
        "version 1": predict("versions", 1, x=X[:, 0])["y"],
        "version 2": predict("versions", x=X[:, 0])["y"],
    }


def pure_python(grpc_address: str, _rest: str) -> dict[str, Any]:
    """grpclib: gRPC by another implementation of HTTP/2, all of it in Python."""
    from grpclib.client import Channel, UnaryUnaryMethod
    from grpclib.exceptions import GRPCError

    from contract.wire import serving_pb2 as wire

    async def ask() -> dict[str, Any]:
        host, port = grpc_address.split(":")
        async with Channel(host, int(port)) as channel:
            predict = UnaryUnaryMethod(
                channel,
                "/tensorflow.serving.PredictionService/Predict",
                wire.PredictRequest,
                wire.PredictResponse,
            )
            request = wire.PredictRequest()
            request.model_spec.name = "half_plus_two"
            request.inputs["x"].dtype = 1
            request.inputs["x"].tensor_content = np.tile(X, (500_000, 1)).tobytes()
            for size in (1_000_000, 1):
                request.inputs["x"].tensor_shape.dim.add(size=size)
            answers = await asyncio.gather(*(predict(request) for _ in range(4)))
            request.model_spec.name = "none"
            try:
                await predict(request)
            except GRPCError as error:
                missing = [error.status.name, error.message]
        return {
            "y": [[value] for value in answers[0].outputs["y"].float_val[:2]],
            "rows": [len(answer.outputs["y"].float_val) for answer in answers],
            "missing": missing,
        }

    return asyncio.run(ask())


CLIENTS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "ovms_grpc": ovms_grpc,
    "ovms_http": ovms_http,
    "min_tfs": min_tfs,
    "pure_python": pure_python,
}

if __name__ == "__main__":
    json.dump(CLIENTS[sys.argv[1]](*sys.argv[2:]), sys.stdout, default=str)
