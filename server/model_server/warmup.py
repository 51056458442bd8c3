"""Warm-up: requests recorded with the model, run before its first caller would wait for them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from server.model_server.classify import classify
from server.model_server.errors import ServingError, invalid_argument, unimplemented
from server.model_server.inference import multi_inference
from server.model_server.predict import predict
from server.model_server.regress import regress
from server.model_server.servable import Servable

RECORDS = Path("assets.extra", "tf_serving_warmup_requests")
MOST_RECORDS = 1000

_RUNS: dict[str, Callable[[Servable, Any], Any]] = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def warm_up(servable: Servable, iterations: int = 1) -> bool:
    """Run the version's warm-up requests in order; none recorded is fine.

    Args:
        servable: The version, loaded but not yet available.
        iterations: How often each request is run.

    Returns:
        Whether there were any.

    Raises:
        ServingError: A request failed, isn't supported or can't be read, or there are too many.
    """
    path = Path(servable.path) / RECORDS
    if not path.is_file():
        return False
    for count, record in enumerate(_records(path)):
        if count == MOST_RECORDS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}"
            )
        entry = prediction_log_pb2.PredictionLog()
        try:
            entry.ParseFromString(record)
        except DecodeError as error:
            raise invalid_argument(f"Failed to parse warmup record {count} from {path}") from error
        for _ in range(iterations):
            _replay(servable, entry)
    return True


def _records(path: Path) -> Iterator[bytes]:
    # A data set is an op of TensorFlow, which would go to the GPU's context without this.
    with tf.device("CPU"):
        records = iter(tf.data.TFRecordDataset(str(path)))
    while True:
        try:
            yield next(records).numpy()
        except StopIteration:
            return
        except tf.errors.DataLossError as error:
            raise ServingError(
                grpc.StatusCode.DATA_LOSS,
                f"{error.message} Please verify your warmup data is in TFRecord format.",
            ) from error


def _replay(servable: Servable, entry: Any) -> None:
    kind = entry.WhichOneof("log_type")
    if kind in _RUNS:
        _RUNS[kind](servable, getattr(entry, kind).request)
    elif kind is not None:
        number = entry.DESCRIPTOR.fields_by_name[kind].number
        raise unimplemented(f"Unsupported log_type for warmup: {number}")
