"""What the calls return: frozen, typed, and each with the model and version that answered."""

from __future__ import annotations

from typing import Any

import msgspec


class Ranked(msgspec.Struct, frozen=True):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of one image.

    Attributes:
        label: the best.
        probability: of the best, 0 to 1.
        top_k: the ranked list, best first, as long as asked and not below the threshold.
        probabilities: of all classes, in the order of `labels`; None unless asked for.
        labels: of all classes, in the model's order; empty unless the probabilities were asked for.
        model: its name.
        version: the one that answered.
        request_id: what the gateway's log has the request under, if it said so.
    """

    label: str
    probability: float
    top_k: tuple[Ranked, ...] = ()
    probabilities: tuple[float, ...] | None = None
    labels: tuple[str, ...] = ()
    model: str
    version: str
    request_id: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Where in an image a model saw its best label.

    Attributes:
        label: the best.
        probability: of the best, 0 to 1.
        heatmap: rows of values 0 to 1, coarser than the image; the first row is its top.
        overlay: a PNG of the image with the heat map over it; None unless asked for.
        model, version, request_id: as in `Result`.
    """

    label: str
    probability: float
    heatmap: tuple[tuple[float, ...], ...]
    overlay: bytes | None = None
    model: str
    version: str
    request_id: str | None = None


class ListedModel(msgspec.Struct, frozen=True):
    """A model that the gateway serves; `version` is None while none is available."""

    name: str
    ready: bool
    version: str | None


class VersionState(msgspec.Struct, frozen=True):
    """A version that the model server knows, and its state there: AVAILABLE, LOADING and so on."""

    version: str
    state: str


class ModelCard(msgspec.Struct, frozen=True):
    """All that the gateway says of a model.

    Attributes:
        name: of the model.
        ready: whether a version is available.
        version: the newest available; None while there is none.
        versions: those that the model server knows.
        manifest: labels, input size, metrics and more of `version`; None while there is none.
    """

    name: str
    ready: bool
    version: str | None
    versions: tuple[VersionState, ...] = msgspec.field(name="model_version_status", default=())
    manifest: dict[str, Any] | None = None
