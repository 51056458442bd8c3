"""Which models to serve, from the flags or from a ModelServerConfig file. Loads no TensorFlow."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from server.model_server.errors import invalid_argument, not_found, unimplemented
from server.model_server.flags import Options

Policy = Callable[[Collection[int]], list[int]]
"""Chooses the version numbers to serve among those on disk."""

PLATFORM = "tensorflow"


def latest(count: int) -> Policy:
    return lambda found: sorted(found, reverse=True)[:count]


def everything(found: Collection[int]) -> list[int]:
    return sorted(found, reverse=True)


def specific(wanted: Collection[int]) -> Policy:
    chosen = frozenset(wanted)
    return lambda found: sorted(chosen.intersection(found), reverse=True)


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve: its name, where its versions lie and which of them to load."""

    name: str
    base_path: str
    policy: Policy = field(default_factory=lambda: latest(1))
    labels: Mapping[str, int] = field(default_factory=dict)


def from_options(options: Options) -> list[ModelConfig]:
    """The models that the flags ask for; a configuration file beats the model flags.

    Raises:
        ServingError: No model is named, or the file or an entry of it is no good.
    """
    if options.model_config_file:
        return from_proto(read_file(options.model_config_file))
    if not options.model_base_path:
        raise invalid_argument(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    models = [ModelConfig(options.model_name, options.model_base_path)]
    check_list(models)
    return models


def read_file(path: str) -> Any:
    """The ModelServerConfig in a text file.

    Raises:
        ServingError: NOT_FOUND if it can't be read, INVALID_ARGUMENT if it can't be parsed.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text = Path(path).read_text(encoding="utf-8")
        text_format.Parse(text, config)
    except OSError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        name = config.DESCRIPTOR.full_name
        print(f"Error parsing text-format {name}: {error}", file=sys.stderr, flush=True)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from error
    return config


def from_proto(config: Any) -> list[ModelConfig]:
    """The models of a ModelServerConfig.

    Raises:
        ServingError: INVALID_ARGUMENT for a list that TensorFlow Serving refuses as well.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise unimplemented("custom_model_config is not supported")
    entries = config.model_config_list.config
    models = [
        ModelConfig(
            entry.name,
            entry.base_path,
            _policy(entry.model_version_policy),
            dict(entry.version_labels),
        )
        for entry in entries
    ]
    check_list(models)
    for entry in entries:
        _check_platform(entry)
    return models


def check_list(models: Collection[ModelConfig]) -> None:
    """Refuse equal names and paths that depend on the current folder.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's text.
    """
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        seen.add(model.name)
    for model in models:
        if not Path(model.base_path).is_absolute():
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )


def _check_platform(entry: Any) -> None:
    if not entry.model_platform and not entry.model_type:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {entry.name}"
        )
    if entry.model_platform not in ("", PLATFORM):
        raise invalid_argument(
            f"Model {entry.name} requests unsupported platform {entry.model_platform}"
        )


def _policy(policy: Any) -> Policy:
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return everything
    if choice == "specific":
        return specific(policy.specific.versions)
    return latest(policy.latest.num_versions or 1)
