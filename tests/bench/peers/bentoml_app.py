"""BentoML: a batchable API, so its dispatcher puts concurrent requests together.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html
"""

import os
from pathlib import Path

import bentoml

from tests.bench.peers.served import Served


@bentoml.service(
    workers=os.cpu_count(), metrics={"enabled": False}, logging={"access": {"enabled": False}}
)
class Classifier:
    def __init__(self) -> None:
        # A process for each core needs no more threads within a run.
        self.served = Served(threads=1)

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=32)
    def classify(self, images: list[Path]) -> list[list[float]]:
        pixels = [self.served.pixels(image.read_bytes()) for image in images]
        return self.served.run(pixels).tolist()
