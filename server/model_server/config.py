"""Which models to serve, from the flags or from a ModelServerConfig. Loads no TensorFlow."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from server.model_server.errors import invalid_argument, unimplemented
from server.model_server.flags import Options
from server.model_server.text_files import read_text_proto

Policy = Callable[[Collection[int]], list[int]]
"""Chooses the version numbers to serve among those on disk."""

PLATFORM = "tensorflow"

_LABEL = re.compile(r"[a-zA-Z0-9_]+")


def latest(count: int) -> Policy:
    return lambda found: sorted(found, reverse=True)[:count]


def everything(found: Collection[int]) -> list[int]:
    return sorted(found, reverse=True)


def specific(wanted: Collection[int]) -> Policy:
    chosen = frozenset(wanted)
    return lambda found: sorted(chosen.intersection(found), reverse=True)


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve: its name, where its versions lie, which of them to load, and the
    version that each label stands for.
    """

    name: str
    base_path: str
    policy: Policy = field(default_factory=lambda: latest(1))
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = PLATFORM


def from_options(options: Options) -> Any:
    """The ModelServerConfig that the flags ask for; a configuration file beats the model flags.

    Raises:
        ServingError: No model is named, or the file or an entry of it is no good.
    """
    if options.model_config_file:
        found = read_file(options.model_config_file)
        check_change((), from_proto(found))
        return found
    if not options.model_base_path:
        raise invalid_argument(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    made = model_server_config_pb2.ModelServerConfig()
    made.model_config_list.config.add(
        name=options.model_name,
        base_path=options.model_base_path,
        model_platform=PLATFORM,
    )
    from_proto(made)
    return made


def read_file(path: str) -> Any:
    """The ModelServerConfig in a text file.

    Raises:
        ServingError: NOT_FOUND if it can't be read, INVALID_ARGUMENT if it can't be parsed.
    """
    return read_text_proto(
        path,
        model_server_config_pb2.ModelServerConfig,
        "tensorflow.serving.ModelServerConfig",
    )


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
    pairs = zip(models, entries, strict=True)
    return [replace(model, platform=_platform(entry)) for model, entry in pairs]


def check_list(models: Collection[ModelConfig]) -> None:
    """Refuse equal names, paths that depend on the current folder, and labels that no URL can hold.

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
        for label in model.labels:
            if not _LABEL.fullmatch(label):
                raise invalid_argument(
                    f"Model {model.name} has the version label {label!r}, which may hold only "
                    "letters, digits and underscores"
                )


def check_change(old: Collection[ModelConfig], new: Collection[ModelConfig]) -> None:
    """Refuse platforms that change or that there are not.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's text.
    """
    platforms = {model.name: model.platform for model in old}
    for model in new:
        was = platforms.get(model.name, model.platform)
        if was != model.platform:
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {model.name} platform was {was} "
                f"and new platform requested is {model.platform}"
            )
    for model in new:
        if model.platform != PLATFORM:
            raise invalid_argument(
                f"Model {model.name} requests unsupported platform {model.platform}"
            )


def _platform(entry: Any) -> str:
    if entry.model_type and entry.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) "
            "and ModelServerConfig::model_platform."
        )
    if entry.model_type not in (0, model_server_config_pb2.TENSORFLOW):
        raise invalid_argument(
            f"ModelServerConfig::model_type choice {entry.model_type} not supported."
        )
    if not entry.model_type and not entry.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {entry.name}"
        )
    return str(entry.model_platform) or PLATFORM


def _policy(policy: Any) -> Policy:
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return everything
    if choice == "specific":
        return specific(policy.specific.versions)
    return latest(policy.latest.num_versions or 1)
