"""Warm-up requests: what a model server runs before it calls a new version available."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"
#: A graph is prepared anew for each batch size, so several are run.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def write(
    folder: Path, name: str, key: str, examples: NDArray[Any], *, explains: bool = False
) -> None:
    """Writes a request for each batch size with real examples, and one for `describe`.

    Args:
        folder: of the SavedModel.
        name: of the model, as a client would say it.
        key: name of the input of `serving_default`.
        examples: [n, …]; repeated where there are too few.
        explains: the model has `explain`; it gets a request too, of one picture: it is asked
            rarely, and about one at a time.
    """
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        query = tf.make_tensor_proto(np.array([b""], object))
        writer.write(_log(name, "describe", "query", query))
        for size in BATCH_SIZES:
            batch = np.resize(examples[:size], (size, *examples.shape[1:]))
            writer.write(_log(name, "serving_default", key, tf.make_tensor_proto(batch)))
        if explains:
            writer.write(_log(name, "explain", key, tf.make_tensor_proto(examples[:1])))


def _log(name: str, signature: str, key: str, tensor: tf.compat.v1.TensorProto) -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    request.inputs[key].CopyFrom(tensor)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    return log.SerializeToString()
