"""REST's classify and regress: examples as JSON."""

import base64
from typing import Any

import pytest
import tensorflow as tf

from tests.conformance.api import Api
from tests.conformance.cases import RestCase, Text, spaced, table

pytestmark = pytest.mark.integration


def asked(
    name: str,
    method: str,
    signature: str,
    *examples: Any,
    content: Any = None,
    model: str = "examples",
    **more: Any,
) -> RestCase:
    body = {"signature_name": signature, "examples": list(examples), **more}
    return RestCase(name, f"/v1/models/{model}:{method}", body, 200, content)


X = {"x": 2.0}

ANSWERED = [
    asked("classify", "classify", "both", X,
          content={"results": [[["up", 2.0], ["down", -2.0]]]}),
    asked("classify two", "classify", "both", X, {"x": [5.0]},
          content={"results": [[["up", 2.0], ["down", -2.0]], [["up", 5.0], ["down", -5.0]]]}),
    asked("classes alone", "classify", "classes_only", X,
          content={"results": [[["up", 0.0], ["down", 0.0]]]}),
    asked("scores alone", "classify", "scores_only", X,
          content={"results": [[["", 2.0], ["", -2.0]]]}),
    asked("classify by a predict signature", "classify", "both_by_predict", X,
          content={"results": [[["up", 2.0], ["down", -2.0]]]}),
    asked("regress", "regress", "flat", X, {"x": 5.0}, content={"results": [2.0, 5.0]}),
    asked("regress a column", "regress", "column", X, content={"results": [2.0]}),
    asked("classify with a context", "classify", "both", {}, context=X,
          content={"results": [[["up", 2.0], ["down", -2.0]]]}),
    asked("regress with a context", "regress", "flat", {}, {"x": 5.0}, context=X,
          content={"results": [2.0, 5.0]}),
    asked("half_plus_two classify", "classify", "classify_x_to_y", X, model="half_plus_two",
          content={"results": [[["", 3.0]]]}),
    asked("half_plus_two regress", "regress", "regress_x_to_y", X, model="half_plus_two",
          content={"results": [3.0]}),
    asked("a version", "regress", "regress", X, model="versions/versions/1",
          content={"results": [2.0]}),
    asked("a label", "regress", "regress", X, model="versions/labels/canary",
          content={"results": [4.0]}),
]  # fmt: skip


@table(ANSWERED)
def test_answered(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


def bad(name: str, body: Any, error: Text, status: int = 400, method: str = "classify") -> RestCase:
    return RestCase(name, f"/v1/models/examples:{method}", body, status, error=error)


def example(value: Any) -> dict[str, Any]:
    return {"signature_name": "both", "examples": [value]}


EXPECTED = "Unexpected element type in feature: x expecting type: "
HAS = "Feature: x has element with unexpected JSON type: "

REFUSED = [
    bad("no body", b"", "JSON Parse error: The document is empty"),
    bad("no examples", {"signature_name": "both"}, spaced(
        "JSON Value: {\"signature_name\": \"both\"} When method is classify, key 'examples' is "
        "expected and was not found")),
    bad("examples that are no list", {"examples": 1}, spaced(
        "JSON Value: {\"examples\": 1} Expecting 'examples' value to be an list/array")),
    bad("an empty list", {"examples": []}, spaced(
        "JSON Value: {\"examples\": []} 'examples' value is an empty array")),
    bad("an example that is no object", example(1),
        "Example must be JSON object but got JSON Number"),
    bad("a context that is no object", {"context": [], "examples": [{}]},
        "Example must be JSON object but got JSON Array"),
    bad("null", example({"x": None}), HAS + "Null"),
    bad("null in a list", example({"x": [None]}), HAS + "Null"),
    bad("a list in a list", example({"x": [[1]]}), HAS + "Array"),
    bad("an object", example({"x": {"y": 1}}), HAS + "Object"),
    bad("an integer after a decimal", example({"x": [1.0, 2]}), EXPECTED + "float"),
    bad("a decimal after an integer", example({"x": [1, 2.0]}), EXPECTED + "int64"),
    bad("a number after text", example({"x": ["a", 2]}), EXPECTED + "bytes"),
    bad("true after a decimal", example({"x": [1.0, True]}), EXPECTED + "float"),
    bad("not base64", example({"x": {"b64": "?"}}), "Unable to base64 decode"),
    bad("an integer beyond int64", example({"x": [2**63]}),
        "Feature: x has uint64 element. Only int64 is supported."),
    bad("a decimal beyond float", example({"x": [1e39]}),
        "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    bad("unknown signature", {"signature_name": "s", "examples": [{}]},
        "No signature was found with the name: s"),
    bad("regress, unknown signature", {"signature_name": "s", "examples": [{}]},
        "No signature was found with the name: s", method="regress"),
    bad("regress by a classify signature", example({}), "Expected one output Tensor.",
        method="regress"),
    bad("signature that is no string", {"signature_name": 1, "examples": [{}]}, spaced(
        'JSON Value: {"signature_name": 1, "examples": [{}]} not formatted correctly. '
        "'signature_name' key must be a string value.")),
]  # fmt: skip


@table(REFUSED)
def test_refused(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


FEATURES = {
    "integer": (3, "int64_list", [3]),
    "negative": (-(2**63), "int64_list", [-(2**63)]),
    "boolean": (True, "int64_list", [1]),
    "booleans": ([True, False], "int64_list", [1, 0]),
    "decimal": (0.5, "float_list", [0.5]),
    "whole decimal": (3.0, "float_list", [3.0]),
    "decimals": ([0.5, 1.5], "float_list", [0.5, 1.5]),
    "text": ("é", "bytes_list", ["é".encode()]),
    "texts": (["a", ""], "bytes_list", [b"a", b""]),
    "base64": ({"b64": "AP8="}, "bytes_list", [b"\0\xff"]),
    "base64 and text": (["a", {"b64": "AP8="}], "bytes_list", [b"a", b"\0\xff"]),
    "nothing": ([], None, []),
}


@pytest.mark.parametrize("name", FEATURES)
def test_kinds_of_features(rest: Api, name: str) -> None:
    """What the model sees: JSON's value as a feature of an Example."""
    value, kind, expected = FEATURES[name]
    body = {"signature_name": "seen", "examples": [{"f": value}]}
    reply = rest.call("POST", "/v1/models/examples:classify", body)
    assert reply.status == 200, reply.body
    (((label, _),),) = reply.content["results"]
    seen = tf.train.Example.FromString(base64.urlsafe_b64decode(label))
    assert list(seen.features.feature) == ["f"]
    feature = seen.features.feature["f"]
    assert feature.WhichOneof("kind") == kind
    assert (list(getattr(feature, kind).value) if kind else []) == expected
