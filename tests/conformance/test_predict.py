"""Predict: signatures, inputs, output_filter, dtypes, shapes, what comes back."""

import re
from typing import Any

import numpy as np
import pytest

from tests.conformance.api import Api, arrays, of_unknown_rank, predict_request, shaped
from tests.conformance.cases import (
    INVALID,
    NOT_FOUND,
    PRECONDITION,
    Case,
    begins,
    floats,
    table,
)
from tests.conformance.differences import WRONG_RANK

pytestmark = pytest.mark.integration

X = floats([[1, 2, 3, 4]])
PIXELS = np.zeros((1, 8, 8, 3), np.uint8)
HALF = floats([[0.5, 0.5]])
MISSING = "Servable not found for request: "


def asked(model: str = "numbers", signature: str = "", **more: Any) -> Any:
    return predict_request(model, spec={"signature": signature}, **more)


SIZE = "input size does not match signature: "

REFUSED = [
    Case(
        "unknown signature",
        asked(signature="s", x=X),
        PRECONDITION,
        'Serving signature key "s" not found.',
    ),
    Case(
        "no serving_default",
        asked("dtypes", x=X),
        PRECONDITION,
        'Serving signature key "serving_default" not found.',
    ),
    Case(
        "too few inputs",
        asked(signature="pair", a=X),
        INVALID,
        SIZE + "1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    Case(
        "no input",
        asked(),
        INVALID,
        SIZE + "0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    Case(
        "too many inputs",
        asked(z=X, x=X, c=X),
        INVALID,
        SIZE + "3!=1 len({c,x,z}) != len({x}). Sent extra: {c,z}. Missing but required: {}.",
    ),
    Case(
        "too many inputs and one missing",
        asked(z=X, c=X),
        INVALID,
        SIZE + "2!=1 len({c,z}) != len({x}). Sent extra: {c,z}. Missing but required: {x}.",
    ),
    Case(
        "wrong name",
        asked(z=X),
        INVALID,
        "Signature input alias: x(feed name: x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {z}, or default input alias set: ",
    ),
    Case(
        "unknown extra beside a default",
        asked("defaults", x=floats([[1, 2]]), z=X),
        INVALID,
        "Inputs contains invalid name. Used request inputs: x, request input: x,z",
    ),
    Case(
        "missing without a default beside one",
        asked("defaults", bias=floats([1, 2])),
        INVALID,
        "Signature input alias: x(feed name: x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {bias}, or default input alias set: bias",
    ),
    Case(
        "too many inputs beside a default",
        asked("defaults", x=X, bias=X, z=X),
        INVALID,
        SIZE + "3!=2 len({bias,x,z}) != len({bias,x}). Sent extra: {z}. "
        "Missing but required: {}.",
    ),
    Case(
        "unknown output",
        asked(x=X, output_filter=["q"]),
        INVALID,
        "output tensor alias not found in signature: q Outputs expected to be in the set {y}.",
    ),
    Case(
        "unknown output of two",
        asked(signature="pair", a=X, b=X, output_filter=["sum", "q"]),
        INVALID,
        "output tensor alias not found in signature: q "
        "Outputs expected to be in the set {difference,sum}.",
    ),
    Case(
        "tensor name as output",
        asked(x=X, output_filter=["y:0"]),
        INVALID,
        "output tensor alias not found in signature: y:0 Outputs expected to be in the set {y}.",
    ),
    Case(
        "repeated output",
        asked(x=X, output_filter=["y", "y"]),
        INVALID,
        "duplicate output tensor alias: y",
    ),
    Case(
        "wrong dtype",
        asked(x=X.astype(np.uint8)),
        INVALID,
        "Expects arg[0] to be float but uint8 is provided",
    ),
    Case(
        "wider dtype",
        asked(x=X.astype(np.float64)),
        INVALID,
        "Expects arg[0] to be float but double is provided",
    ),
    Case(
        "narrower dtype",
        asked(x=X.astype(np.float16)),
        INVALID,
        "Expects arg[0] to be float but half is provided",
    ),
    Case(
        "floats for an image",
        asked("images", images=PIXELS.astype(np.float32)),
        INVALID,
        "Expects arg[0] to be uint8 but float is provided",
    ),
    Case(
        "wrong dtype of the second input",
        asked(signature="pair", a=X, b=X.astype(np.int64)),
        INVALID,
        "Expects arg[1] to be float but int64 is provided",
    ),
    Case(
        "text for numbers",
        asked(x=np.array([[b"1"]], object)),
        INVALID,
        "Expects arg[0] to be float but string is provided",
    ),
    Case("wrong shape for a kernel", asked(signature="product", x=floats([[1, 2]])), INVALID,
         re.compile(".*(Matrix size-incompatible|In\\[0\\] and In\\[1\\]).*", re.DOTALL)),
    Case("wrong channels for a convolution", asked("images", images=np.zeros((1, 8, 8, 2),
         np.uint8)), INVALID, re.compile(".*(depth|channels).*", re.DOTALL)),
]  # fmt: skip

ORDER = [
    Case(
        "model before signature",
        asked("none", "s", x=X),
        NOT_FOUND,
        MISSING + "Latest(none)",
    ),
    Case(
        "signature before inputs",
        asked(signature="s", z=X),
        PRECONDITION,
        'Serving signature key "s" not found.',
    ),
    Case(
        "inputs before output_filter",
        asked(z=X, output_filter=["q"]),
        INVALID,
        begins("Signature input alias: x(feed name: x:0) not found"),
    ),
    Case(
        "undecodable before output_filter",
        asked(x=shaped(0, 1, 4), output_filter=["q"]),
        INVALID,
        "tensor parsing error: x",
    ),
    Case(
        "output_filter before dtype",
        asked(x=X.astype(np.uint8), output_filter=["q"]),
        INVALID,
        begins("output tensor alias not found in signature: q"),
    ),
    Case(
        "dtype before kernel",
        asked(signature="product", x=np.ones((1, 2), np.int32)),
        INVALID,
        "Expects arg[0] to be float but int32 is provided",
    ),
]


def has_no_rows(response: Any) -> None:
    assert len(arrays(response)["probabilities"]) == 0


NINE = np.zeros((2, 9, 9, 3), np.uint8)

ANSWERED = [
    Case("empty signature is serving_default", asked(x=X), outputs={"y": 2 * X}),
    Case("serving_default by name", asked("numbers", "serving_default", x=X),
         outputs={"y": 2 * X}),
    Case("another signature", asked(signature="pair", a=X, b=X),
         outputs={"sum": 2 * X, "difference": 0 * X}),
    Case("one output of two", asked(signature="pair", a=X, b=X, output_filter=["sum"]),
         outputs={"sum": 2 * X}),
    Case("both outputs, asked for",
         asked(signature="pair", a=X, b=X, output_filter=["sum", "difference"]),
         outputs={"sum": 2 * X, "difference": 0 * X}),
    Case("default fills in", asked("defaults", x=floats([[1, 2]])),
         outputs={"y": floats([[11, 22]])}),
    Case("sent beats default", asked("defaults", x=floats([[1, 2]]), bias=floats([1, 1])),
         outputs={"y": floats([[2, 3]])}),
    Case("a classify signature", predict_request("half_plus_two", spec={
         "signature": "classify_x_to_y"}, inputs=np.array([], object)),
         outputs={"scores": np.zeros((0, 1), np.float32)}),
    Case("a feature instead of the example", asked("half_plus_two", x=floats([[2]])),
         outputs={"y": floats([[3]])}),
    Case("an asset", asked("words", word=np.array([b"two", b"zero", b"ten"], object)),
         outputs={"index": np.array([2, 0, -1], np.int64)}),
    Case("batch 0", asked(x=np.zeros((0, 4), np.float32)),
         outputs={"y": np.zeros((0, 4), np.float32)}),
    # How wide nothing is, oneDNN's convolution gets wrong.
    Case("batch 0 of images", asked("images", images=PIXELS[:0]), check=has_no_rows),
    Case("another size than declared", asked("images", images=NINE),
         outputs={"probabilities": np.repeat(HALF, 2, 0)}),
    Case("another width than declared", asked(x=floats([[1, 2]])), outputs={"y": floats([[2, 4]])}),
    Case("rank 1 where 2 is declared", asked(x=floats([1, 2])), outputs={"y": floats([2, 4])}),
    Case("a scalar where 2 is declared", asked(x=floats(3)), outputs={"y": floats(6)}),
    Case("rank 3 where 2 is declared", asked(x=floats([[[1]]])), outputs={"y": floats([[[2]]])}),
    Case("a large batch", asked(x=np.ones((10_000, 4), np.float32)),
         outputs={"y": np.full((10_000, 4), 2, np.float32)}),
]  # fmt: skip

RANK = "input images must have rank 4 as in its signature, not rank "

DIFFERENT = [
    Case("rank 3 for a convolution", asked("images", images=PIXELS[0]), INVALID, RANK + "3",
         difference=WRONG_RANK),
    Case("rank 5 for a convolution", asked("images", images=PIXELS[None]), INVALID, RANK + "5",
         difference=WRONG_RANK),
    Case("a scalar for a convolution", asked("images", images=np.uint8(1)), INVALID, RANK + "0",
         difference=WRONG_RANK),
    Case("unknown rank for a convolution", asked("images", images=of_unknown_rank("uint8")),
         INVALID, RANK + "0", difference=WRONG_RANK),
]  # fmt: skip


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


@table(ORDER)
def test_order_of_checks(api: Api, row: Case) -> None:
    row.hold(api)


@table(ANSWERED)
def test_answered(api: Api, row: Case) -> None:
    row.hold(api)


@table(DIFFERENT)
def test_only_here(api: Api, row: Case, embedded: bool | None) -> None:
    if not embedded:
        pytest.skip(f"TensorFlow Serving {row.difference.reference}")
    row.hold(api)


def test_model_spec_of_the_answer(api: Api) -> None:
    """The name, the resolved signature, the version as loaded; nothing else."""
    spec = api.ask(asked(x=X)).message.model_spec
    assert (spec.name, spec.signature_name) == ("numbers", "serving_default")
    assert spec.version.value == 7
    spec = api.ask(asked("half_plus_two", x=floats([[1]]))).message.model_spec
    assert spec.version.value == 123  # the folder is 00000123


def test_outputs_are_complete_lists(api: Api) -> None:
    """Not one value for many equal ones, and no tensor_content."""
    output = api.ask(asked(x=np.ones((2, 4), np.float32))).message.outputs["y"]
    assert list(output.float_val) == [2.0] * 8
    assert not output.tensor_content
    assert [dim.size for dim in output.tensor_shape.dim] == [2, 4]
