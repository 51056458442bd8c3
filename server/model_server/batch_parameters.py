"""How batches are made: the parameters, their rules, and the files they come from."""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from server.model_server.errors import invalid_argument
from server.model_server.flags import Options
from server.model_server.text_files import read_text_proto
from server.model_server.wire import files_pb2

PER_MODEL_FILE = "batching_params.pbtxt"


@dataclass(frozen=True)
class BatchParameters:
    """The rules by which requests share a run.

    Attributes:
        max_batch_size: Most rows of a request and, without splitting, of a batch.
        batch_timeout_micros: How long a batch waits for more rows.
        max_enqueued_batches: How many batches may wait; more requests are refused.
        num_batch_threads: Batches run at the same time.
        allowed_batch_sizes: If not empty, batches are padded to one of these numbers of rows.
        large_batch_splitting: Whether a request of more rows than a batch holds is split.
        max_execution_batch_size: Most rows of a batch; 0 is as many as of a request.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 1
    allowed_batch_sizes: tuple[int, ...] = ()
    large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    @property
    def most_rows(self) -> int:
        """Of a batch."""
        return self.max_execution_batch_size or self.max_batch_size


def from_options(options: Options) -> BatchParameters | None:
    """What the flags say for all models; None if they don't ask for batching.

    Raises:
        ServingError: The file can't be read, or it comes without --enable_batching.
    """
    path = options.batching_parameters_file
    if not options.enable_batching:
        if path:
            raise invalid_argument(
                "server_options.batching_parameters_file is set without setting "
                "server_options.enable_batching to true."
            )
        return None
    return read(path) if path else from_proto(files_pb2.BatchingParameters())


def of_version(folder: str, common: BatchParameters | None) -> BatchParameters | None:
    """With --enable_per_model_batching_parameters: what the version's own file says.

    Args:
        folder: The version's; without a file in it the version runs unbatched.
        common: From the flags; None runs everything unbatched.

    Raises:
        ServingError: The file can't be read.
    """
    path = Path(folder, PER_MODEL_FILE)
    return read(str(path)) if common is not None and path.exists() else None


def read(path: str) -> BatchParameters:
    """The parameters in a text file.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT: it can't be read or parsed.
    """
    name = "tensorflow.serving.BatchingParameters"
    return from_proto(read_text_proto(path, files_pb2.BatchingParameters, name))


def from_proto(proto: Any) -> BatchParameters:
    """The parameters of a BatchingParameters message; `check` says whether they make sense.

    `pad_variable_length_inputs` needs nothing: only requests whose rows have the same shape share
    a batch, so that none is ever padded because of another.
    """
    given = {
        name: getattr(proto, name).value
        for name in ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches")
        if proto.HasField(name)
    }
    threads = proto.num_batch_threads.value if proto.HasField("num_batch_threads") else 0
    splitting = proto.enable_large_batch_splitting.value
    return BatchParameters(
        **given,
        num_batch_threads=threads or os.cpu_count() or 1,
        allowed_batch_sizes=tuple(proto.allowed_batch_sizes),
        large_batch_splitting=splitting,
        max_execution_batch_size=proto.max_execution_batch_size.value if splitting else 0,
    )


def check(parameters: BatchParameters) -> None:
    """Refuse parameters that contradict each other; TensorFlow Serving does as it loads a model.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    for name, least in (
        ("max_batch_size", 1),
        ("batch_timeout_micros", 0),
        ("max_enqueued_batches", 1),
        ("num_batch_threads", 1),
    ):
        value = getattr(parameters, name)
        if value < least:
            raise invalid_argument(f"{name} must be at least {least}; was {value}")
    if not 1 <= parameters.most_rows <= parameters.max_batch_size:
        raise invalid_argument(
            "max_execution_batch_size must be between 1 and max_batch_size "
            f"({parameters.max_batch_size}); was {parameters.most_rows}"
        )
    sizes = parameters.allowed_batch_sizes
    if not sizes:
        return
    if sizes[0] < 1 or any(a >= b for a, b in pairwise(sizes)):
        raise invalid_argument("allowed_batch_sizes entries must be monotonically increasing")
    if sizes[-1] != parameters.most_rows:
        most = "max_execution_batch_size" if parameters.large_batch_splitting else "max_batch_size"
        raise invalid_argument(
            f"Last entry in allowed_batch_sizes must match {most}; last entry was {sizes[-1]}; "
            f"expected {parameters.most_rows}"
        )
