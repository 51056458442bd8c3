"""The settings: environment variables LINCE_*, read once at start, all of them on this page.

A field's name is the variable's (`port` is LINCE_PORT); its type is checked; its help is what
`lince config` and the documentation print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta

from contract.errors import SettingsError
from contract.manifest import MODEL_NAME
from contract.pixels import MOST_PIXELS

PREFIX = "LINCE_"

_Seconds = Meta(gt=0, le=86400)
_Port = Meta(ge=1, le=65535)
_Count = Meta(ge=1, le=4096)


def _help(text: str) -> Meta:
    return Meta(description=text)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process; `from_environment` reads and checks them."""

    models: Annotated[
        tuple[str, ...],
        _help("names of the models that the gateway serves, with commas between"),
    ] = ()
    model_server: Annotated[
        str,
        _help(
            "the model server's gRPC address: host:port, several IP addresses with commas between,"
            " dns:///name:port or unix:///path"
        ),
    ] = "127.0.0.1:8500"
    model_server_program: Annotated[
        str,
        _help(
            "what lince up starts as model server: auto is tensorflow_model_server where it is on"
            " PATH, else the embedded one; embedded; or a program, by name or path"
        ),
    ] = "auto"
    host: Annotated[str, _help("address the gateway listens on; 0.0.0.0 for all")] = "127.0.0.1"
    port: Annotated[int, _Port, _help("port the gateway listens on")] = 8000
    workers: Annotated[int, _Count, _help("gateway processes")] = 1
    threads: Annotated[
        int, _Count, _help("requests that one gateway process works on at a time")
    ] = 8
    timeout_seconds: Annotated[
        float,
        _Seconds,
        _help(
            "deadline of a request from the moment its head is read; a trickling body is not cut"
        ),
    ] = 10.0
    refresh_seconds: Annotated[
        float,
        _Seconds,
        _help("how often the gateway asks the model server which version is the newest"),
    ] = 1.0
    drain_seconds: Annotated[
        float, _Seconds, _help("how long a stopping gateway waits for requests in flight")
    ] = 25.0
    max_body_bytes: Annotated[
        int, Meta(ge=1024), _help("largest request body; a larger one is a 413")
    ] = 32 * 1024 * 1024
    max_image_pixels: Annotated[
        int,
        Meta(ge=1, le=MOST_PIXELS),
        _help("largest picture, width × height; checked before decoding"),
    ] = 50_000_000
    max_images: Annotated[int, _Count, _help("most pictures in one request")] = 32
    models_dir: Annotated[Path, _help("folder of exported models")] = Path("models")
    runs_dir: Annotated[Path, _help("folder of training runs")] = Path("runs")
    cache_dir: Annotated[
        Path, _help("folder of downloads and decoded pictures; may be deleted at any time")
    ] = Path("~/.cache/lince")
    gateway: Annotated[str, _help("address that the client commands call")] = (
        "http://127.0.0.1:8000"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Reads the settings.

        Raises:
            SettingsError: the text has one line for each wrong variable.
        """
        types, values, wrong = get_type_hints(cls, include_extras=True), {}, []
        for setting in fields(cls):
            name = PREFIX + setting.name.upper()
            text = environment.get(name, "").strip()
            if not text and not isinstance(setting.default, Path):  # a default may begin with ~
                continue
            text = text or str(setting.default)
            try:
                values[setting.name] = _convert(text, types[setting.name])
            except (msgspec.ValidationError, RuntimeError) as error:  # the second: no such ~user
                wrong.append(f"{name}={text}: {error}")
        wrong += _wrong_models(values.get("models", ()))
        if wrong:
            raise SettingsError("\n".join(wrong))
        return cls(**values)


def _convert(text: str, kind: Any) -> Any:
    plain = get_args(kind)[0]
    if plain is Path:
        return Path(text).expanduser()
    if plain == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return msgspec.convert(text, kind, strict=False)


def _wrong_models(names: tuple[str, ...]) -> list[str]:
    wrong = [f"{name!r} is no model's name" for name in names if not MODEL_NAME.fullmatch(name)]
    wrong += [f"{name!r} is named twice" for name in set(names) if names.count(name) > 1]
    return [f"{PREFIX}MODELS={','.join(names)}: {problem}" for problem in wrong]


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """Returns (variable, value in force, help) for every setting, in the order of this page."""
    types = get_type_hints(Settings, include_extras=True)
    return [
        (
            PREFIX + item.name.upper(),
            _as_text(getattr(settings, item.name)),
            _help_of(types[item.name]),
        )
        for item in fields(settings)
    ]


def _help_of(kind: Any) -> str:
    return str(get_args(kind)[-1].description)


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
