"""What all the peers' applications do alike: pixels by Lince's contract, and the SavedModel."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract import manifest as manifests
from contract.pixels import decode
from contract.quiet import quiet_import


class Served:
    """The SavedModel in this process.

    Args:
        threads: within one run of the model; None leaves it to TensorFlow.
    """

    def __init__(self, threads: int | None = None) -> None:
        with quiet_import():
            import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        version = Path(os.environ["BENCH_VERSION"])
        spec = manifests.parse((version / manifests.FILE).read_bytes()).input
        assert spec is not None
        self._spec = spec
        self._constant = tf.constant
        self._loaded = tf.saved_model.load(str(version))
        self._run = self._loaded.signatures["serving_default"]
        self.run([np.zeros((spec.height, spec.width, spec.channels), np.uint8)])

    def pixels(self, data: bytes) -> NDArray[np.uint8]:
        """Decodes and resizes a picture."""
        return decode(data, self._spec)

    def run(self, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Returns probabilities [N, K] of pictures' pixels."""
        outputs = self._run(images=self._constant(np.stack(pixels)))
        return outputs["probabilities"].numpy()
