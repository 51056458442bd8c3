"""The manifest: what an artifact says about itself.

It is a JSON document inside the SavedModel (signature `describe`) and beside it
(`assets.extra/manifest.json`). `manifest.schema.json` is its JSON Schema, generated from the
dataclasses here. Fields that a reader does not know are ignored, so an older gateway reads a newer
artifact as long as the schema number is the same. A model's name and version are not in it: they
come from the model server, so that a copied folder can't lie.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from contract.distribution import Distribution
from contract.errors import ManifestError
from contract.pixels import PixelSpec

SCHEMA: Literal[1] = 1
#: What a model may be called: it is a folder, a part of an URL and a metric's label.
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: Where the manifest lies in an artifact, relative to the version's folder.
FILE = "assets.extra/manifest.json"

_Count = Annotated[int, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, lt=1)]
_Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Number of pictures in each split."""

    train: _Count
    validation: _Count
    test: _Count


@dataclass(frozen=True, kw_only=True)
class Data:
    """What the model learned from.

    Attributes:
        name: the data set's name.
        source: where it was taken from, as the trainer said it.
        counts: pictures in each split.
        fingerprint: SHA-256 over all pixels and labels.
    """

    name: _Text
    source: _Text
    counts: Counts
    fingerprint: _Text


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How the model was fitted.

    Attributes:
        epochs: how many were completed.
        epochs_asked: how many were asked for; more than `epochs` if the fit was interrupted.
        epoch_kept: the one whose weights these are, counted from 1.
        batch: pictures in a step.
        seed: of the split, the initial weights and the shuffling.
        validation_share: share of the training pictures held out to choose the best epoch.
        device: where it ran, in words.
        precision: Keras's dtype policy of the fit; the exported model is always float32.
        augmentation: name of the policy by which the pictures were changed, null for none.
    """

    epochs: _Count
    epochs_asked: _Count
    epoch_kept: _Count
    batch: _Count
    seed: int
    validation_share: _Share
    device: str
    precision: str = "float32"
    augmentation: str | None = None


@dataclass(frozen=True, kw_only=True)
class EncodedDeviation:
    """How far the `encoded` signature is from the contract's pixels, measured at export.

    Attributes:
        images: number of test files that were compared.
        mean_probability: mean absolute difference of a probability.
        max_probability: largest absolute difference of a probability.
        changed_labels: how many files got another top label.
    """

    images: _Count
    mean_probability: float
    max_probability: float
    changed_labels: _Count


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the `explain` signature's heat maps are.

    Attributes:
        method: how they are made.
        layer: name of the layer whose feature map they weight; they are as large as that.
    """

    method: Literal["grad-cam"] = "grad-cam"
    layer: _Text


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an optimisation did to the answers, measured at export over the whole test set.

    Attributes:
        accuracy: with it.
        changed_labels: how many pictures got another top label.
        mean_probability: mean absolute difference of a probability.
        max_probability: largest absolute difference of a probability.
    """

    accuracy: Annotated[float, Meta(ge=0, le=1)]
    changed_labels: _Count
    mean_probability: float
    max_probability: float


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """What an optimised export changed, against the plain model's answers.

    Attributes:
        frozen: the weights are constants of the graph, which a model server prepares at load.
        examples: how many of the test set were compared, all of it.
        accuracy: without it.
        max_change: bound on every `max_probability` here; an export beyond it is refused.
        float32: what freezing changed.
        bfloat16: what multiplying in bfloat16 changes as well; null where the exporting CPU could
            not measure it. A model server may do so only where this is given.
        bfloat16_by: the CPU's instructions by which that was measured.
    """

    frozen: bool = True
    examples: _Count
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    max_change: float
    float32: Change
    bfloat16: Change | None = None
    bfloat16_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReferenceDistribution:
    """What inputs and outputs look like, by the split that they were measured on.

    Attributes:
        test: of the test set.
    """

    test: Distribution


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an artifact says about itself.

    Attributes:
        schema: number of this schema.
        recipe: name in the recipe table.
        document: the teaching document that the recipe is from.
        task: classification (output `probabilities`), features (output `features`) or regression
            (no images).
        labels: class names in the order of the output.
        classes: number of classes.
        input: the pixels that the model wants; null for regression.
        parameters: number of weights, trainable and not.
        metrics: on the test set, name → value.
        data: what it learned from.
        fit: how it was fitted.
        versions: of the libraries, name → version.
        created: ISO 8601 time in UTC.
        source_revision: of Lince's source, or "unknown".
        run: identifier of the training run.
        backbone: name of the pretrained network that the model stands on, null for none.
        encoded: deviation of the `encoded` signature.
        explanation: what the `explain` signature does; null where there is none.
        confusion_matrix: rows are true classes, columns predicted ones, of the test set; null for
            many classes, and where there are none.
        reference_distribution: what inputs and outputs look like, to see drift.
        optimisation: what an optimised export changed; null for a plain one.
    """

    schema: Literal[1] = SCHEMA
    recipe: _Text
    document: _Text
    task: Literal["classification", "features", "regression"]
    labels: tuple[_Text, ...]
    classes: _Count
    input: PixelSpec | None
    parameters: _Count
    metrics: dict[str, float]
    data: Data
    fit: Fit
    versions: dict[str, str]
    created: _Text
    source_revision: _Text
    run: _Text
    backbone: _Text | None = None
    encoded: EncodedDeviation | None = None
    explanation: Explanation | None = None
    confusion_matrix: tuple[tuple[_Count, ...], ...] | None = None
    reference_distribution: ReferenceDistribution | None = None
    optimisation: Optimisation | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != self.classes:
            raise ValueError(f"labels: {len(self.labels)} names for {self.classes} classes")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a name appears twice")
        if self.task == "classification" and self.classes < 2:
            raise ValueError(f"classes: a classification has at least 2, not {self.classes}")
        if (self.input is None) != (self.task == "regression"):
            raise ValueError(f"input: wrong for the task {self.task}")
        matrix = self.confusion_matrix
        if matrix is not None and {len(matrix), *map(len, matrix)} != {self.classes}:
            raise ValueError(f"confusion_matrix: is not {self.classes}×{self.classes}")
        reference = self.reference_distribution
        if reference is not None and len(reference.test.predictions) != self.classes:
            raise ValueError(
                f"reference_distribution: counts {len(reference.test.predictions)} labels"
                f" of {self.classes}"
            )


def encode(manifest: Manifest) -> bytes:
    """Returns the manifest as indented JSON, UTF-8.

    Raises:
        ManifestError: what `parse` would refuse, a metric that is not a number say: nobody could
            read it back.
    """
    document = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    parse(document)
    return document


def parse(data: bytes | str) -> Manifest:
    """Reads a manifest.

    Raises:
        ManifestError: it is no JSON or breaks the schema; the text names the field.
    """
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:  # ValidationError is one
        raise ManifestError(f"manifest: {_with_field_first(str(error))}") from error


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the manifest, as `manifest.schema.json` holds it."""
    schema = msgspec.json.schema(Manifest)
    for definition in schema["$defs"].values():
        # Python 3.13 and newer take a docstring's indentation away, older ones do not.
        definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_field_first(text: str) -> str:
    """'Expected `int` - at `$.input.height`' → 'input.height: Expected `int`'."""
    problem, at, path = text.partition(" - at `$")
    return f"{path.rstrip('`').lstrip('.')}: {problem}" if at and path != "`" else problem
