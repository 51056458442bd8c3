"""Bodies and answers as types, from which the document's schemas are made.

They describe; nothing is read or written with them. That answers are what is said here, tests hold.
A type that forbids unknown fields says all that an answer has.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contract.manifest import Manifest

REFERENCE = "#/components/schemas/{name}"

_Probability = Annotated[float, Meta(ge=0, le=1.0001)]  # float32: a hair over 1 is rounding
_Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})]
_Tensor = Annotated[
    Any, Meta(description="an array, nested or flat as the model has it", extra_json_schema={})
]

_Track = Annotated[
    Literal["stable", "canary"], Meta(description="where the model has a canary: who answered")
]


def _one_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": REFERENCE.format(name=name)} for name in names]}


# ---- bodies ------------------------------------------------------------------------------------


class Encoded(Struct, forbid_unknown_fields=True):
    """An image file in base64."""

    b64: _Base64


_Image = _Base64 | Encoded


class ImagesBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Images in base64, and the parameters; a parameter here goes before the query's."""

    image: _Image | UnsetType = UNSET
    images: Annotated[list[_Image], Meta(min_length=1)] | UnsetType = UNSET
    top_k: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    probabilities: bool | UnsetType = UNSET


class ExplainBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Images in base64, and whether each answer has its overlay."""

    image: _Image | UnsetType = UNSET
    images: Annotated[list[_Image], Meta(min_length=1)] | UnsetType = UNSET
    overlay: bool | UnsetType = UNSET


class PredictBody(Struct, omit_defaults=True):
    """TensorFlow Serving's and KServe's V1 form: `instances` (rows) or `inputs` (columns)."""

    instances: (
        Annotated[
            list[Any],
            Meta(
                min_length=1,
                description='each {"b64": …}, {"NAME": {"b64": …}} or numbers [H][W][C]',
            ),
        ]
        | UnsetType
    ) = UNSET
    inputs: (
        Annotated[Any, Meta(description="the same images as one column", extra_json_schema={})]
        | UnsetType
    ) = UNSET
    signature_name: str | UnsetType = UNSET


class InferTensor(Struct, omit_defaults=True):
    """A tensor of an inference request."""

    name: str
    shape: list[Annotated[int, Meta(ge=0)]]
    datatype: Annotated[str, Meta(examples=["BYTES", "UINT8"])]
    parameters: dict[str, Any] | UnsetType = UNSET
    data: _Tensor | UnsetType = UNSET


class RequestedOutput(Struct, omit_defaults=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | UnsetType = UNSET


class InferBody(Struct, omit_defaults=True):
    """An inference request of the Open Inference Protocol."""

    inputs: Annotated[list[InferTensor], Meta(min_length=1)]
    id: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    outputs: list[RequestedOutput] | UnsetType = UNSET


# ---- answers -----------------------------------------------------------------------------------


class ProblemDetails(Struct, omit_defaults=True):
    """RFC 9457 problem details; `type` is stable, `detail` is for people."""

    type: Annotated[str, Meta(pattern="^urn:lince:problem:[a-z-]+$")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    retryable: Annotated[bool, Meta(description="whether the same request may succeed later")]
    error: Annotated[str, Meta(description="`detail` again, where protocols want it so")] = ""


class ProtocolError(Struct, forbid_unknown_fields=True):
    """A problem in the form of the Open Inference Protocol."""

    error: str


class Ranked(Struct, forbid_unknown_fields=True):
    """A label and its probability."""

    label: str
    probability: _Probability


class Classification(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an image was classified as."""

    label: str
    probability: _Probability
    top_k: list[Ranked]
    probabilities: (
        Annotated[list[_Probability], Meta(description="in the order of the answer's `labels`")]
        | UnsetType
    ) = UNSET


class FailedImage(Struct, forbid_unknown_fields=True):
    """An image that could not be answered; the others were."""

    problem: ProblemDetails


class ClassifyAnswer(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A result for each image, in their order."""

    model: str
    version: str
    request_id: str
    results: list[Annotated[Any, Meta(extra_json_schema=_one_of("Classification", "FailedImage"))]]
    labels: list[str] | UnsetType = UNSET


class Explained(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an image was classified as, and what in it spoke for that."""

    label: str
    probability: _Probability
    heatmap: Annotated[
        list[list[_Probability]],
        Meta(description="rows from the top; 1 is what spoke most for the label"),
    ]
    overlay: (
        Annotated[_Base64, Meta(description="a PNG of the image with the heat map over it")]
        | UnsetType
    ) = UNSET


class ExplainAnswer(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An explanation for each image, in their order."""

    model: str
    version: str
    request_id: str
    results: list[Annotated[Any, Meta(extra_json_schema=_one_of("Explained", "FailedImage"))]]
    track: _Track | UnsetType = UNSET


class Predictions(Struct, forbid_unknown_fields=True):
    """Rows: probabilities of each instance."""

    predictions: list[list[_Probability]]


class Outputs(Struct, forbid_unknown_fields=True):
    """The answer to a request with `inputs`."""

    outputs: list[list[_Probability]]


class ModelSummary(Struct, forbid_unknown_fields=True):
    """A model that is served."""

    name: str
    ready: bool
    version: Annotated[str | None, Meta(description="the newest; null while there is none")]


class ModelList(Struct, forbid_unknown_fields=True):
    """The models that are served."""

    models: list[ModelSummary]


class VersionError(Struct, forbid_unknown_fields=True):
    """Why a version is in its state."""

    error_code: str
    error_message: str


class VersionStatus(Struct, forbid_unknown_fields=True):
    """The state of a version, as TensorFlow Serving says it."""

    version: str
    state: Literal["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
    status: VersionError


class ModelCard(Struct, forbid_unknown_fields=True):
    """What is served under a name."""

    name: str
    ready: bool
    version: str | None
    model_version_status: list[VersionStatus]
    manifest: Manifest | None


class Status(Struct, forbid_unknown_fields=True):
    """A word on the gateway's state."""

    status: Literal["live", "ready"]


class ServerMetadata(Struct):
    """The Open Inference Protocol's description of a server."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(Struct, forbid_unknown_fields=True):
    """Whether the gateway is alive."""

    live: bool


class ServerReady(Struct, forbid_unknown_fields=True):
    """Whether the gateway is ready."""

    ready: bool


class TensorMetadata(Struct):
    """The Open Inference Protocol's description of a tensor; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct):
    """The Open Inference Protocol's description of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(Struct, forbid_unknown_fields=True):
    """Whether a model is ready."""

    name: str
    ready: bool


class InferOutput(Struct):
    """A tensor of an inference answer; `data` is missing where it follows in binary."""

    name: str
    shape: list[int]
    datatype: str
    data: _Tensor | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class InferAnswer(Struct):
    """An inference answer of the Open Inference Protocol."""

    model_name: str
    outputs: list[InferOutput]
    model_version: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


_TYPES = (
    ImagesBody,
    ExplainBody,
    PredictBody,
    InferBody,
    ProblemDetails,
    ProtocolError,
    Classification,
    FailedImage,
    ClassifyAnswer,
    Explained,
    ExplainAnswer,
    Predictions,
    Outputs,
    ModelList,
    ModelCard,
    Status,
    ServerMetadata,
    ServerLive,
    ServerReady,
    ModelMetadata,
    ModelReady,
    InferAnswer,
)


def ref(kind: type) -> dict[str, str]:
    """Returns a reference to a type's schema."""
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def components() -> dict[str, Any]:
    """Returns all schemas by their names."""
    _, made = msgspec.json.schema_components(_TYPES, ref_template=REFERENCE)
    for schema in made.values():
        # Python 3.13 and newer take a docstring's indentation away, older ones do not.
        text = inspect.cleandoc(schema.get("description", ""))
        schema["description"] = text.partition("\n\nAttributes:")[0]
    return made
