"""The flags of tensorflow_model_server, as one table from which usage and docs are made.

Every field of `Options` is a flag. `IGNORED` holds the flags of TensorFlow Serving that are
accepted without effect, so that a start script written for it works here too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")
Value = bool | int | float | str


def _flag(default: T, text: str) -> T:
    made: T = field(default=default, metadata={"help": text})
    return made


@dataclass(frozen=True)
class Options:
    """What the flags say; the field's default is the flag's."""

    port: int = _flag(8500, "TCP port of the gRPC API; 0 takes a free one.")
    listen_address: str = _flag(
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for every network. Not a flag of TensorFlow Serving, "
        "which always listens on every network.",
    )
    grpc_socket_path: str = _flag("", "Path of a Unix socket to serve gRPC on as well.")
    model_name: str = _flag("default", "Name of the model; without --model_config_file.")
    model_base_path: str = _flag("", "Absolute path of the folder that holds the model's versions.")
    model_config_file: str = _flag(
        "", "ModelServerConfig in text form, for several models; overrides the model flags."
    )
    model_config_file_poll_wait_seconds: int = _flag(
        0, "Seconds between two reloads of --model_config_file; 0 never."
    )
    file_system_poll_wait_seconds: float = _flag(
        1.0, "Seconds between two looks for new versions; 0 looks once, negative never."
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Let new labels stand for versions that are not available yet."
    )
    force_allow_any_version_labels_for_unavailable_models: bool = _flag(
        False, "Let any label stand for a version that is not available."
    )
    enable_model_warmup: bool = _flag(
        True, "Run assets.extra/tf_serving_warmup_requests before a version is available."
    )
    num_request_iterations_for_warmup: int = _flag(1, "How often each warm-up request is run.")
    max_num_load_retries: int = _flag(5, "Tries to load a version after the first one failed.")
    load_retry_interval_micros: int = _flag(60_000_000, "Microseconds between two such tries.")
    saved_model_tags: str = _flag("serve", "Tags of the graph to load, comma-separated.")
    enable_grpc_healthcheck_service: bool = _flag(False, "Offer grpc.health.v1.Health.")
    enable_signature_method_name_check: bool = _flag(
        False, "Refuse calls of a signature whose method_name is another call's."
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Answer with tensor_content instead of the typed lists (float_val and so on)."
    )
    enable_batching: bool = _flag(False, "Let requests that arrive together share a run.")
    batching_parameters_file: str = _flag(
        "", "BatchingParameters in text form, instead of the defaults."
    )
    enable_per_model_batching_parameters: bool = _flag(
        False,
        "With --enable_batching: batch only models with a batching_params.pbtxt in the version's "
        "folder, by what it says.",
    )
    rest_api_port: int = _flag(0, "TCP port of the REST API; 0 leaves it out.")
    rest_api_num_threads: int = _flag(0, "REST requests handled at the same time; 0 is 4 × CPUs.")
    rest_api_timeout_in_ms: int = _flag(
        30_000, "Milliseconds after which a REST request is given up; 0 never."
    )
    rest_api_enable_cors_support: bool = _flag(
        False, "Let web pages of any origin call the REST API."
    )
    grpc_max_threads: int = _flag(0, "Calls handled at the same time; 0 is 4 × CPUs.")
    tensorflow_session_parallelism: int = _flag(
        0,
        "Threads of a session, for both kinds below; 0 takes as many as there are cores, within a "
        "container's CPU quota.",
    )
    tensorflow_session_config_file: str = _flag(
        "", "ConfigProto of the sessions in text form; the flags beside this one add to it."
    )
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within one operation.")
    tensorflow_inter_op_parallelism: int = _flag(
        0, "Operations run at the same time; -1 runs them in the thread of the request or batch."
    )
    mixed_precision: str = _flag(
        "",
        "bfloat16 multiplies in it, for every model; none for none. Unless given, those models of "
        "Lince whose manifest permits it, where the CPU has AMX-BF16 or AVX512-BF16.",
    )
    per_process_gpu_memory_fraction: float = _flag(
        0.0, "Share of the GPU's memory to reserve; 0 takes what is needed, as it is needed."
    )
    memory_limit_megabytes: int = _flag(
        0,
        "MiB that the server may take in all; requests that would need more are refused. 0 is what "
        "the machine has. Not a flag of TensorFlow Serving.",
    )
    grpc_channel_arguments: str = _flag("", "Settings of gRPC's core: key=value,key=value.")
    monitoring_config_file: str = _flag(
        "", "MonitoringConfig in text form: metrics for Prometheus on the REST port."
    )
    ssl_config_file: str = _flag(
        "", "SSLConfig in text form: key and certificate of the gRPC port, as PEM in the file."
    )
    use_alts_credentials: bool = _flag(False, "Not supported: the server refuses to start with it.")
    version: bool = _flag(False, "Print the versions and exit.")


IGNORED: dict[str, type] = {
    "enable_profiler": bool,
    "enforce_session_run_timeout": bool,
    "flush_filesystem_caches": bool,
    "num_load_threads": int,
    "num_tflite_interpreters_per_pool": int,
    "num_tflite_pools": int,
    "num_unload_threads": int,
    "platform_config_file": str,
    "prefer_tflite_model": bool,
    "remove_unused_fields_from_bundle_metagraph": bool,
    "skip_initialize_tpu": bool,
    "thread_pool_factory_config_file": str,
    "use_tflite_model": bool,
    "xla_cpu_compilation_enabled": bool,
}


class BadFlagError(Exception):
    """A known flag with a value that isn't one; the text says which."""


@dataclass(frozen=True)
class Parsed:
    """The outcome of reading a command line."""

    options: Options
    ignored: tuple[str, ...]
    unknown: tuple[str, ...]


def parse(argv: Sequence[str]) -> Parsed:
    """Read a command line; the last of two equal flags wins.

    Raises:
        BadFlagError: A known flag has a bad value.
    """
    known: dict[str, Any] = {f.name: f.type for f in fields(Options)}
    values: dict[str, Any] = {}
    ignored: list[str] = []
    unknown: list[str] = []
    for argument in argv:
        name, text = _split(argument)
        kind = known.get(name) or IGNORED.get(name)
        # Only a boolean may stand bare, so `--port 8501` is two unknown arguments, as there.
        if kind is None or (text is None and kind is not bool):
            unknown.append(argument)
            continue
        value = _value(name, kind, text)
        if name in known:
            values[name] = value
        else:
            ignored.append(argument)
    return Parsed(Options(**values), tuple(ignored), tuple(unknown))


def usage(program: str) -> str:
    """The help text: one line for each flag, with its type, default and meaning."""
    lines = [f"usage: {program} [--name=value ...]", "Flags:"]
    for f in fields(Options):
        default = str(f.default).lower() if f.type is bool else f.default
        lines.append(f"  --{f.name}={default}\t{_type_name(f.type)}\t{f.metadata['help']}")
    lines.append("Flags of TensorFlow Serving that are accepted and ignored:")
    lines.extend(f"  --{name}\t{kind.__name__}" for name, kind in IGNORED.items())
    return "\n".join(lines)


def _type_name(kind: Any) -> str:
    return str(kind.__name__)


def _split(argument: str) -> tuple[str, str | None]:
    if not argument.startswith("--"):
        return "", None
    name, equals, text = argument[2:].partition("=")
    return name, text if equals else None


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _integer(text: str) -> int:
    # int() would also take "1_000" and " 8", which tensorflow_model_server does not.
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError
    return int(text)


_READERS: dict[type, Callable[[str], Value]] = {
    bool: _boolean,
    int: _integer,
    float: float,
    str: str,
}

_RANGES = {
    "port": (0, 65535),
    "rest_api_port": (0, 65535),
    "rest_api_num_threads": (0, 65536),
    "rest_api_timeout_in_ms": (0, 2**31 - 1),
    "grpc_max_threads": (0, 65536),
    "max_num_load_retries": (0, 2**31 - 1),
    "model_config_file_poll_wait_seconds": (-(2**31), 2**31 - 1),
    "load_retry_interval_micros": (0, 2**53),
    "num_request_iterations_for_warmup": (0, 2**31 - 1),
    "tensorflow_session_parallelism": (0, 65536),
    "tensorflow_intra_op_parallelism": (0, 65536),
    "tensorflow_inter_op_parallelism": (-1, 65536),
    "memory_limit_megabytes": (0, 2**40),
    "per_process_gpu_memory_fraction": (0.0, 1.0),
    "file_system_poll_wait_seconds": (-(10**9), 10**9),  # NaN and infinity can't be waited for
}

_CHOICES = {"mixed_precision": ("", "bfloat16", "none")}


def _value(name: str, kind: type, text: str | None) -> Value:
    if text is None:
        return True
    try:
        value = _READERS[kind](text)
    except ValueError:
        raise BadFlagError(f"Couldn't interpret value {text} for flag --{name}.") from None
    if name in _RANGES:
        low, high = _RANGES[name]
        if not low <= float(value) <= high:
            raise BadFlagError(
                f"Couldn't interpret value {text} for flag --{name}: not in {low:g}..{high:g}."
            )
    if name in _CHOICES and value not in _CHOICES[name]:
        known = " or ".join(filter(None, _CHOICES[name]))
        raise BadFlagError(f"Couldn't interpret value {text} for flag --{name}: not {known}.")
    return value
