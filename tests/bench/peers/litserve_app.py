"""LitServe: batches in worker processes.

https://lightning.ai/docs/litserve/features/batching
"""

import base64
import os
import sys
from typing import Any

import litserve
import numpy as np
from numpy.typing import NDArray


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        from tests.bench.peers.served import Served

        # A process for each core needs no more threads within a run.
        self.served = Served(threads=1)

    def decode_request(self, request: dict[str, str]) -> NDArray[np.uint8]:
        return self.served.pixels(base64.b64decode(request["image"]))

    def batch(self, inputs: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return inputs

    def predict(self, x: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self.served.run(x)

    def unbatch(self, output: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return list(output)

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, Any]:
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Classifier(max_batch_size=16, batch_timeout=0.003),
        accelerator="cpu",
        workers_per_device=os.cpu_count() or 1,
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
