"""MLServer: a custom runtime with adaptive batching, in worker processes.

https://mlserver.readthedocs.io/en/latest/user-guide/adaptive-batching.html
"""

from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Classifier(MLModel):
    async def load(self) -> bool:
        from tests.bench.peers.served import Served

        # A process for each core needs no more threads within a run.
        self.served = Served(threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        pictures = Base64Codec.decode_input(payload.inputs[0])
        probabilities = self.served.run([self.served.pixels(data) for data in pictures])
        outputs = [NumpyCodec.encode_output("probabilities", probabilities)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
