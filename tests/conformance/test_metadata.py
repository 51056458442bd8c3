"""GetModelMetadata."""

from typing import Any

import pytest
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.conformance.api import Api, metadata_request, shaped
from tests.conformance.cases import INVALID, NOT_FOUND, Case, table

pytestmark = pytest.mark.integration

NO_FIELD = "GetModelMetadataRequest must specify at least one metadata_field"

REFUSED = [
    Case("no field", metadata_request("numbers"), INVALID, NO_FIELD),
    Case("no field, unknown model", metadata_request("none"), INVALID, NO_FIELD),
    Case("no field, no model_spec", metadata_request(None), INVALID, NO_FIELD),
    Case("another field", metadata_request("numbers", "graph"), INVALID,
         "Metadata field graph is not supported"),
    Case("another field second", metadata_request("numbers", "signature_def", "graph"), INVALID,
         "Metadata field graph is not supported"),
    Case("another field, unknown model", metadata_request("none", "graph"), INVALID,
         "Metadata field graph is not supported"),
    Case("an empty field", metadata_request("numbers", ""), INVALID,
         "Metadata field  is not supported"),
    Case("unknown model", metadata_request("none", "signature_def"), NOT_FOUND,
         "Servable not found for request: Latest(none)"),
]  # fmt: skip


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


def signatures(api: Api, model: str, **spec: Any) -> Any:
    """The signatures of a model by name."""
    message = api.ask(metadata_request(model, "signature_def", **spec)).message
    assert list(message.metadata) == ["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    assert message.metadata["signature_def"].Unpack(found)
    return found.signature_def


def test_all_signatures(api: Api) -> None:
    expected = {
        "serving_default": "predict",
        "regress_x_to_y": "regress",
        "regress_x_to_y2": "regress",
        "regress_x2_to_y3": "regress",
        "classify_x_to_y": "classify",
    }
    found = signatures(api, "half_plus_two")
    methods = {name: entry.method_name for name, entry in found.items()}
    assert methods == {name: f"tensorflow/serving/{m}" for name, m in expected.items()}


def test_tensors_of_a_signature(api: Api) -> None:
    """Names, dtypes and shapes as they were saved; defaults too."""
    entry = signatures(api, "images")["serving_default"]
    pixels = entry.inputs["images"]
    assert (pixels.name, pixels.dtype) == ("images:0", shaped("uint8").dtype)
    assert [dim.size for dim in pixels.tensor_shape.dim] == [-1, 8, 8, 3]
    assert list(entry.outputs) == ["probabilities"]
    assert not entry.defaults
    (bias,) = signatures(api, "defaults")["serving_default"].defaults.values()
    assert bias.tensor_shape.dim[0].size == 2
    unknown = signatures(api, "dtypes")["uint8"].inputs["x"].tensor_shape
    assert unknown.unknown_rank


def test_model_spec_of_the_answer(api: Api) -> None:
    """Name and version; no signature's name, even where the request has one."""
    request = metadata_request("versions", "signature_def", version=1, signature="wait")
    spec = api.ask(request).message.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("versions", 1, "")
    assert not spec.version_label


def test_the_field_twice_is_one(api: Api) -> None:
    request = metadata_request("numbers", "signature_def", "signature_def")
    assert list(api.ask(request).message.metadata) == ["signature_def"]
