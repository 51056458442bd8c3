"""A version of a model as the model server has it: what goes in, what comes out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from contract import manifest as manifests
from contract.errors import ManifestError
from contract.manifest import Manifest
from contract.pixels import PixelSpec
from contract.wire import serving_pb2 as pb
from server.problems import BAD_MODEL_ANSWER, NOT_A_CLASSIFIER, Problem


@dataclass(frozen=True)
class Ports:
    """How the signature `serving_default` of an image classifier is called.

    Attributes:
        input: name of the input, pixels [N, H, W, C].
        dtype: of the input; levels are 0 to 255 in a float, too.
        output: name of the output, float [N, K].
        pixels: what the input wants to see.
    """

    input: str
    dtype: np.dtype[Any]
    output: str
    pixels: PixelSpec


@dataclass(frozen=True)
class ServedVersion:
    """A version of a model that answered.

    Attributes:
        manifest: what it says of itself; None for an artifact that was made by others.
        ports: None: it is no image classifier.
        labels: in the order of the output; None: as many as it answers, by their numbers.
        identity: SHA-256 of what it says of itself; a number may come again with another model
            behind it.
    """

    model: str
    number: int
    manifest: Manifest | None
    ports: Ports | None
    labels: tuple[str, ...] | None
    identity: bytes

    @property
    def classifier(self) -> Ports:
        """How it is called.

        Raises:
            Problem: it is no image classifier.
        """
        if self.ports is None:
            what = self.manifest.task if self.manifest else "something else"
            raise Problem(NOT_A_CLASSIFIER, f"model {self.model} is for {what}")
        return self.ports

    @property
    def pixels(self) -> PixelSpec:
        """What the version wants to see.

        Raises:
            Problem: it is no image classifier.
        """
        return self.classifier.pixels

    def names(self, classes: int) -> tuple[str, ...]:
        """Returns the labels of an answer with so many classes."""
        return self.labels or tuple(map(str, range(classes)))


def described(model: str, number: int, text: bytes) -> ServedVersion:
    """Returns a version by its manifest.

    Raises:
        Problem: the text is no manifest.
    """
    try:
        manifest = manifests.parse(text)
    except ManifestError as error:
        raise Problem(BAD_MODEL_ANSWER, f"model {model}, version {number}: {error}") from error
    ports = None
    if manifest.task == "classification" and manifest.input is not None:
        ports = Ports("images", np.dtype(np.uint8), "probabilities", manifest.input)
    return ServedVersion(model, number, manifest, ports, manifest.labels, identity(text))


def undescribed(model: str, number: int, signatures: pb.SignatureDefMap) -> ServedVersion:
    """Returns a version by its signatures.

    An image classifier is what has in `serving_default` one input, uint8 or float32 [N, H, W, C]
    with 1 or 3 channels, and among its outputs one that is float32 [N, K]. Its labels are the
    numbers of the classes.
    """
    signature = signatures.signature_def["serving_default"]
    ports = _ports(signature)
    classes = signature.outputs[ports.output].tensor_shape.dim[1].size if ports else -1
    labels = tuple(map(str, range(classes))) if classes > 0 else None
    text = signatures.SerializeToString(deterministic=True)
    return ServedVersion(model, number, None, ports, labels, identity(text))


def _ports(signature: pb.SignatureDef) -> Ports | None:
    outputs = [
        name
        for name, info in signature.outputs.items()
        if info.dtype == pb.DT_FLOAT and _is_rows(info.tensor_shape)
    ]
    if len(signature.inputs) != 1 or len(outputs) != 1:
        return None
    ((name, info),) = signature.inputs.items()
    dtype = {pb.DT_UINT8: np.uint8, pb.DT_FLOAT: np.float32}.get(info.dtype)
    pixels = _pixels([dim.size for dim in info.tensor_shape.dim])
    if dtype is None or pixels is None:
        return None
    return Ports(name, np.dtype(dtype), outputs[0], pixels)


def _is_rows(shape: pb.TensorShapeProto) -> bool:
    return len(shape.dim) == 2 and shape.dim[0].size < 0 and shape.dim[1].size not in (0, 1)


def _pixels(shape: list[int]) -> PixelSpec | None:
    if len(shape) != 4 or shape[0] >= 0:  # of any number of images
        return None
    height, width = [side if side >= 0 else None for side in shape[1:3]]
    wanted = {"height": height, "width": width, "channels": shape[3]}
    try:
        return msgspec.convert(wanted, PixelSpec)
    except msgspec.ValidationError:  # other channels, or no size that a picture has
        return None


def identity(text: bytes) -> bytes:
    """Returns a version's identity by the text that it is known by."""
    return hashlib.sha256(text).digest()
