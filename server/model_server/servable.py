"""One loaded version of a model: a SavedModel's graph in a session of its own.

A TF1 session, because it is what TensorFlow Serving runs: `tf.saved_model.load` can't load every
SavedModel that TensorFlow Serving hosts, a session loads them all, and its errors are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session

from contract.processor import cores
from server.model_server import saved_model
from server.model_server.batch_parameters import BatchParameters, check
from server.model_server.batching import Key, Queue, Queued, queues, say_nothing
from server.model_server.errors import ServingError, from_number, invalid_argument
from server.model_server.flags import Options
from server.model_server.memory import FEW_ROWS, LARGE, Guard, common_rows, row_bytes
from server.model_server.precision import in_bfloat16
from server.model_server.text_files import read_text_proto
from server.model_server.writes import writing

_MOST_SHAPES = 256


@dataclass(frozen=True)
class SessionSettings:
    """How versions are loaded and run; the same for all.

    Attributes:
        tags: Of the graph to load.
        base: ConfigProto that the rest adds to.
        intra_op_threads: Threads within one operation; 0 leaves it to `base`.
        inter_op_threads: Operations at the same time; 0 leaves it to `base`.
        gpu_memory_fraction: To reserve; 0 takes what is needed.
        check_methods: Whether a signature's method_name must be that of the call.
        mixed_precision: See `precision.in_bfloat16`.
    """

    tags: tuple[str, ...] = ("serve",)
    base: Any = field(default_factory=config_pb2.ConfigProto)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    gpu_memory_fraction: float = 0.0
    check_methods: bool = False
    mixed_precision: str = ""

    @staticmethod
    def from_options(options: Options) -> "SessionSettings":
        """What the flags say, and for threads that no flag or file sets: as many as cores.

        Raises:
            ServingError: NOT_FOUND or INVALID_ARGUMENT: --tensorflow_session_config_file is no
                good.
        """
        path = options.tensorflow_session_config_file
        base = config_pb2.ConfigProto()
        if path:
            base = read_text_proto(path, config_pb2.ConfigProto, "tensorflow.ConfigProto")
        both = options.tensorflow_session_parallelism
        return SessionSettings(
            tuple(options.saved_model_tags.split(",")),
            base,
            options.tensorflow_intra_op_parallelism
            or both
            or base.intra_op_parallelism_threads
            or cores(),
            options.tensorflow_inter_op_parallelism
            or both
            or base.inter_op_parallelism_threads
            or cores(),
            options.per_process_gpu_memory_fraction,
            options.enable_signature_method_name_check,
            options.mixed_precision,
        )

    def proto(self, *, bfloat16: bool = False) -> Any:
        """The session's ConfigProto, multiplying in bfloat16 or as `base` says."""
        config = config_pb2.ConfigProto()
        config.CopyFrom(self.base)
        config.allow_soft_placement = True
        if self.intra_op_threads:
            config.intra_op_parallelism_threads = self.intra_op_threads
        if self.inter_op_threads:
            config.inter_op_parallelism_threads = self.inter_op_threads
        # TensorFlow Serving takes the whole GPU by default; here a training may share it.
        if self.gpu_memory_fraction:
            config.gpu_options.per_process_gpu_memory_fraction = self.gpu_memory_fraction
        elif not config.gpu_options.per_process_gpu_memory_fraction:
            config.gpu_options.allow_growth = True
        if bfloat16:
            rewriters = config.graph_options.rewrite_options
            rewriters.auto_mixed_precision_onednn_bfloat16 = rewriters.ON
        return config


class Servable:
    """A loaded version, ready to run from any number of threads.

    Attributes:
        version: Its number.
        path: Its folder.
        signatures: Its SignatureDefs by name, all that the SavedModel holds.
        checks_methods: Whether a signature's method_name must be that of the call.
    """

    def __init__(
        self,
        version: int,
        path: str,
        session: Any,
        signatures: Mapping[str, Any],
        queues: Mapping[Key, Queue] | None = None,
        guard: Guard | None = None,
        changing: frozenset[str] = frozenset(),
        checks_methods: bool = False,
    ) -> None:
        self.checks_methods = checks_methods
        self.version = version
        self.path = path
        self.signatures = signatures
        self._session: Any = session
        self._queues = queues or {}
        self._guard = guard or Guard()
        self._changing = changing
        self._outputs: dict[str, Any] = {}
        self._row_bytes: dict[Any, int] = {}

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None = None,
    ) -> list[Any]:
        """Run the graph once, with batching together with others. The GIL is free meanwhile.

        Args:
            feeds: Arrays by tensor name (`x:0`); their dtypes must match exactly.
            fetches: Names of the tensors to compute.
            timeout_seconds: After which the session gives up; None never.

        Returns:
            One array or scalar for each fetch.

        Raises:
            ServingError: With the status and text of TensorFlow's own error; RESOURCE_EXHAUSTED
                if there is not the memory for it.
        """
        rows = common_rows(feeds)
        # What changes variables must run once, and so can't be tried with one row before.
        if rows >= FEW_ROWS and self._changing.isdisjoint(fetches):
            needed = rows * self._needed_by_row(feeds, fetches, timeout_seconds)
            if needed > LARGE:
                with self._guard.admitted(needed):
                    return self._run_or_queue(feeds, fetches, timeout_seconds)
        return self._run_or_queue(feeds, fetches, timeout_seconds)

    def _needed_by_row(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
    ) -> int:
        shapes = {(name, array.shape[1:]) for name, array in feeds.items()}
        key = (frozenset(shapes), frozenset(fetches))
        known = self._row_bytes.get(key)
        if known is None:
            if len(self._row_bytes) >= _MOST_SHAPES:
                self._row_bytes.clear()
            known = self._row_bytes[key] = self._trace(feeds, fetches, timeout_seconds)
        return known

    def _trace(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
    ) -> int:
        """Run the first row to see what it needs; 0 if it fails, as all will then do."""
        options = _run_options(timeout_seconds, config_pb2.RunOptions.SOFTWARE_TRACE)
        metadata = pywrap_tf_session.TF_NewBuffer()
        try:
            first = {name: array[:1] for name, array in feeds.items()}
            self._call(options, first, fetches, metadata)
            serialized = pywrap_tf_session.TF_GetBuffer(metadata)
            return row_bytes(config_pb2.RunMetadata.FromString(serialized).step_stats)
        except tf.errors.DeadlineExceededError as error:
            raise from_tensorflow(error) from error
        except tf.errors.OpError:
            return 0
        finally:
            pywrap_tf_session.TF_DeleteBuffer(metadata)
            pywrap_tf_session.TF_DeleteBuffer(options)

    def _run_or_queue(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
    ) -> list[Any]:
        queue = self._queues.get((frozenset(feeds), frozenset(fetches))) if self._queues else None
        if queue is None:
            return self._run(feeds, fetches, timeout_seconds)
        return queue.run(feeds, fetches, timeout_seconds, self._run)

    def _run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_seconds: float | None,
    ) -> list[Any]:
        options = None if timeout_seconds is None else _run_options(timeout_seconds)
        try:
            return self._call(options, feeds, fetches, None)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        finally:
            if options is not None:
                pywrap_tf_session.TF_DeleteBuffer(options)

    def _call(
        self, options: Any, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], metadata: Any
    ) -> list[Any]:
        inputs = {self._tensor(name): array for name, array in feeds.items()}
        outputs = [self._tensor(name) for name in fetches]
        # Session.run costs 280 µs of Python for each call where this costs 60, casts what
        # TensorFlow Serving refuses, and adds a stack trace to each error.
        return list(self._session._call_tf_sessionrun(options, inputs, outputs, [], metadata))

    def close(self) -> None:
        """Free the session's memory; the caller sees to it that nothing runs any more."""
        self._session.close()
        self._session = None
        self._outputs.clear()

    def _tensor(self, name: str) -> Any:
        found = self._outputs.get(name)
        if found is None:
            # `x` means `x:0`, as in TensorFlow's C++.
            full = name if ":" in name else f"{name}:0"
            try:
                tensor = self._session.graph.get_tensor_by_name(full)
            except (KeyError, ValueError) as error:
                raise invalid_argument(
                    f"Tensor {full}, specified in either feed_devices or fetch_devices was not "
                    "found in the Graph"
                ) from error
            found = self._outputs[name] = tensor._as_tf_output()
        return found


def _run_options(timeout_seconds: float | None, trace_level: int = 0) -> Any:
    """A buffer that TensorFlow's C++ reads; whoever asks for it deletes it."""
    options = config_pb2.RunOptions(trace_level=trace_level)
    if timeout_seconds is not None:
        options.timeout_in_ms = min(max(1, int(timeout_seconds * 1000)), 2**31)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())


def load(
    version: int,
    path: str,
    settings: SessionSettings,
    batching: BatchParameters | None = None,
    queued: Queued = say_nothing,
    guard: Guard | None = None,
) -> Servable:
    """Load a SavedModel.

    Args:
        version: Its number.
        path: Its folder.
        settings: For the session.
        batching: How requests share runs; None: not at all.
        queued: Told of each request that did.
        guard: Of the memory for requests; the machine's, unless given.

    Raises:
        ServingError: With the status and, for the usual mistakes, the text of TensorFlow Serving.
    """
    if batching is not None:
        check(batching)
    graph = tf.Graph()
    config = settings.proto(bfloat16=in_bfloat16(settings.mixed_precision, Path(path)))
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        meta_graph = saved_model.read(Path(path), settings.tags)
        saved_model.initialise(session, meta_graph, Path(path))
        signatures = dict(meta_graph.signature_def)
        tensors = {o.name for s in signatures.values() for o in s.outputs.values()}
        changing = writing(meta_graph.graph_def, tensors)
        made = {}
        if batching is not None:
            made = queues(graph, signatures, batching, queued, changing)
        # Servable.run goes around Session.run, which would tell the runtime of new operations.
        session._extend_graph()
    except Exception as error:
        session.close()
        raise load_error(error) from error
    return Servable(
        version, path, session, signatures, made, guard, changing, settings.check_methods
    )


def load_error(error: Exception) -> ServingError:
    """The status of a failed load, from whatever was raised."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, tf.errors.OpError):
        return from_tensorflow(error)
    return ServingError(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")


def from_tensorflow(error: Any) -> ServingError:
    """The status and the text of a TensorFlow error, without Python's additions."""
    return from_number(error.error_code, error.message)
