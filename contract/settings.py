"""The settings: environment variables LINCE_*, read once at start, all of them on this page.

A field's name is the variable's (`port` is LINCE_PORT); its type is checked; its help is what
`lince config` and the documentation print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from contract import canary
from contract.errors import SettingsError
from contract.manifest import MODEL_NAME
from contract.pixels import MOST_PIXELS

PREFIX = "LINCE_"

_Seconds = Meta(gt=0, le=86400)
_Port = Meta(ge=1, le=65535)
_Count = Meta(ge=1, le=4096)
_Portion = Meta(ge=0, le=1)
# As browsers send it: no path, and a port only where it is not the scheme's own.
_Origin = Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/?#@\sA-Z]+)\Z")]


def _help(text: str) -> Meta:
    return Meta(description=text)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process; `from_environment` reads and checks them."""

    models: Annotated[
        tuple[str, ...],
        _help("names of the models that the gateway serves, with commas between"),
    ] = ()
    default_model: Annotated[
        str,
        _help(
            "the model that /v1/classify and its like mean; where there is only one, it is that one"
        ),
    ] = ""
    canary: Annotated[
        tuple[str, ...],
        _help(
            "model=label:percent, with commas between: the share of a model's requests that goes to"
            " the version with the label"
        ),
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
    model_server_ca: Annotated[
        Path | None,
        _help("file of the certificates (PEM) that the model server's is checked by: turns TLS on"),
    ] = None
    model_server_certificate: Annotated[
        Path | None, _help("the gateway's own certificate (PEM), where the model server wants one")
    ] = None
    model_server_key: Annotated[Path | None, _help("the key (PEM) of that certificate")] = None
    model_server_name: Annotated[
        str,
        _help("the name in the model server's certificate, where it isn't the address's"),
    ] = ""
    host: Annotated[str, _help("address the gateway listens on; 0.0.0.0 for all")] = "127.0.0.1"
    port: Annotated[int, _Port, _help("port the gateway listens on")] = 8000
    workers: Annotated[int, _Count, _help("gateway processes; each keeps about one CPU busy")] = 1
    threads: Annotated[
        int,
        _Count,
        _help(
            "requests that one gateway process has in hand at a time: it works on them, or the"
            " model server does"
        ),
    ] = 32
    working: Annotated[
        int,
        Meta(ge=0, le=4096),
        _help(
            "threads in which one gateway process works on what takes long, large pictures say,"
            " beside all others; 0: as many as its part of the CPUs"
        ),
    ] = 0
    max_waiting: Annotated[
        int,
        Meta(ge=0, le=65536),
        _help("requests that may wait for one of these; one more is a 429"),
    ] = 32
    timeout_seconds: Annotated[
        float,
        _Seconds,
        _help("deadline of a request from the moment its body is there"),
    ] = 10.0
    body_seconds: Annotated[
        float, _Seconds, _help("how long a request's body may take to arrive; then it is a 408")
    ] = 30.0
    refresh_seconds: Annotated[
        float,
        _Seconds,
        _help("how often the gateway asks the model server which version is the newest"),
    ] = 1.0
    drain_delay_seconds: Annotated[
        float,
        Meta(ge=0, le=86400),
        _help(
            "how long a gateway that got SIGTERM goes on to take requests, not ready any more: the"
            " time in which load balancers notice"
        ),
    ] = 0.0
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000), _help("connections that one gateway process holds open")
    ] = 4096
    drain_seconds: Annotated[
        float, _Seconds, _help("how long a stopping gateway waits for requests in flight")
    ] = 25.0
    max_body_bytes: Annotated[
        int, Meta(ge=1024), _help("largest request body; a larger one is a 413")
    ] = 32 * 1024 * 1024
    max_buffered_bytes: Annotated[
        int,
        Meta(ge=1024),
        _help("request bodies that one gateway process holds; what is over them is a 429"),
    ] = 256 * 1024 * 1024
    max_image_pixels: Annotated[
        int,
        Meta(ge=1, le=MOST_PIXELS),
        _help("largest picture, width × height; checked before decoding"),
    ] = 50_000_000
    max_images: Annotated[int, _Count, _help("most pictures in one request")] = 32
    max_batch: Annotated[
        int,
        _Count,
        _help("most pictures in one call of the model server; a request with more is split"),
    ] = 32
    calls_at_once: Annotated[
        int,
        _Count,
        _help(
            "calls of one version that a gateway process makes at a time; requests that come"
            " meanwhile share the next one; at least as many as there are model servers"
        ),
    ] = 2
    cache_answers: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        _help("pictures whose probabilities each gateway process keeps, by their pixels; 0: none"),
    ] = 0
    metrics_port: Annotated[
        int,
        Meta(ge=0, le=65535),
        _help("port of /metrics, which is then not on the gateway's own; 0: on the gateway's"),
    ] = 0
    metrics_host: Annotated[str, _help("address of that port; 0.0.0.0 for all")] = "127.0.0.1"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _help("least weight of what is logged")
    ] = "info"
    access_log: Annotated[
        float,
        _Portion,
        _help("share of the requests that get a line in the log, 0 to 1; a 5xx always does"),
    ] = 1.0
    prediction_log: Annotated[
        Path | None, _help("file to which a line is added for each picture of the sample")
    ] = None
    prediction_log_share: Annotated[
        float, _Portion, _help("share of the requests that are in the sample, 0 to 1")
    ] = 1.0
    prediction_log_images: Annotated[
        Path | None, _help("folder in which the sample's pictures are kept; they are not otherwise")
    ] = None
    drift_window: Annotated[
        int,
        Meta(ge=500, le=1_000_000),
        _help("pictures of a version, the last ones, that are held against its reference"),
    ] = 2000
    api_keys_file: Annotated[
        Path | None,
        _help("file of API keys that lince key writes; without one everybody may call"),
    ] = None
    rate: Annotated[
        float,
        Meta(ge=0, le=10_000),
        _help("requests per second of an API key that has no rate of its own; 0 for no limit"),
    ] = 0.0
    cors_origins: Annotated[
        tuple[_Origin, ...],
        _help(
            "origins whose pages may call the gateway, as https://shop.example with commas between;"
            " * for all"
        ),
    ] = ()
    hsts_seconds: Annotated[
        int,
        Meta(ge=0, le=2 * 365 * 86400),
        _help("how long browsers are to insist on TLS, where a proxy has it; 0 to say nothing"),
    ] = 0
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
        wrong += _wrong_default(values)
        wrong += _wrong_canaries(values)
        wrong += _wrong_tls(values)
        wrong += _wrong_metrics_port(values)
        if wrong:
            raise SettingsError("\n".join(wrong))
        return cls(**values)


def _convert(text: str, kind: Any) -> Any:
    plain = get_args(kind)[0]
    if plain in (Path, Path | None):
        return Path(text).expanduser()
    if get_origin(plain) is tuple:
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        return msgspec.convert(parts, kind)
    return msgspec.convert(text, kind, strict=False)


def _wrong_models(names: tuple[str, ...]) -> list[str]:
    wrong = [f"{name!r} is no model's name" for name in names if not MODEL_NAME.fullmatch(name)]
    wrong += [f"{name!r} is named twice" for name in set(names) if names.count(name) > 1]
    return [f"{PREFIX}MODELS={','.join(names)}: {problem}" for problem in wrong]


def _wrong_default(values: Mapping[str, Any]) -> list[str]:
    name, models = values.get("default_model", ""), values.get("models", ())
    # Without models this is no gateway's environment, or `lince up` finds them in the folder.
    if not name or not models or name in models:
        return []
    return [f"{PREFIX}DEFAULT_MODEL={name}: it is not in {PREFIX}MODELS"]


def _wrong_canaries(values: Mapping[str, Any]) -> list[str]:
    texts, models = values.get("canary", ()), values.get("models", ())
    wrong: list[str] = []
    seen: set[str] = set()
    for text in texts:
        try:
            model = canary.parse(text).model
        except ValueError as error:
            wrong.append(str(error))
            continue
        if models and model not in models:
            wrong.append(f"{model} is not in {PREFIX}MODELS")
        if model in seen:
            wrong.append(f"{model} has one already")
        seen.add(model)
    return [f"{PREFIX}CANARY={','.join(texts)}: {problem}" for problem in wrong]


def _wrong_metrics_port(values: Mapping[str, Any]) -> list[str]:
    port = values.get("metrics_port", 0)
    if port != values.get("port", Settings.port):
        return []
    return [f"{PREFIX}METRICS_PORT={port}: it is {PREFIX}PORT"]


def _wrong_tls(values: Mapping[str, Any]) -> list[str]:
    given = {name for name in ("ca", "certificate", "key") if values.get(f"model_server_{name}")}
    if given in (set(), {"ca"}, {"ca", "certificate", "key"}):
        return []
    prefix = f"{PREFIX}MODEL_SERVER_"
    return [f"{prefix}CERTIFICATE and {prefix}KEY go together, and with {prefix}CA"]


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
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)
