"""REST's classify and regress over a real connection, and any JSON as examples."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.example import feature_pb2
from tensorflow_serving.apis import classification_pb2

from server.model_server.errors import ServingError
from server.model_server.rest_examples import fill_request
from server.model_server.rest_json import parse
from tests.server.model_server.half_plus_two import VERSION, regression, rows, serving
from tests.server.model_server.helpers import Answer, Served, rest_call, rest_running

pytestmark = pytest.mark.heavy

Y, SCORES = "half_plus_two:regress_x_to_y", "half_plus_two:classify_x_to_y"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("rest")) as served:
        yield served


def ask(models: Served, action: str, model: str, body: Any) -> Answer:
    return models.call("POST", f"/v1/models/{model}:{action}", body)


ANSWERED: dict[str, tuple[str, str, str, dict[str, Any], list[Any]]] = {
    "a value": ("regress", "half_plus_two", "regress_x_to_y", {"examples": [{"x": 2.0}]}, [3.0]),
    "values": (
        "regress", "half_plus_two", "regress_x_to_y",
        {"examples": [{"x": [2.0]}, {"x": [4.5]}]}, [3.0, 4.25],
    ),
    "features that the graph doesn't know": (
        "regress", "half_plus_two", "regress_x_to_y",
        {"examples": [{"x": 2.0, "a": "é", "b": {"b64": "AA=="}, "c": [1, True], "d": []}]}, [3.0],
    ),
    "a context": (
        "regress", "half_plus_two", "regress_x_to_y",
        {"context": {"x": 2.0}, "examples": [{}, {"x": 6.0}]}, [3.0, 5.0],
    ),
    "a default signature": (
        "classify", "modern", "", {"examples": [{"x": 2.0}]}, [[["2.00", 2.0]]],
    ),
    "scores alone": (
        "classify", "half_plus_two", "classify_x_to_y",
        {"examples": [{"x": 2.0}, {"x": 4.0}]}, [[["", 3.0]], [["", 4.0]]],
    ),
    "labels alone": (
        "classify", "odd", "labels",
        {"examples": [{"x": 2.0}]}, [[["2.0", 0.0], ["-2.0", 0.0]]],
    ),
    "labels that aren't UTF-8": (
        "classify", "odd", "raw_labels", {"examples": [{"x": 2.0}]}, [[["\ufffd\0", 2.0]]],
    ),
    "no classes": (
        "classify", "odd", "no_classes_of", {"examples": [{"x": 2.0}]}, [[]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERED)
def test_answers(models: Served, case: str) -> None:
    action, model, signature, body, expected = ANSWERED[case]
    body = body | {"signature_name": signature} if signature else body
    assert ask(models, action, model, body) == (200, {"results": expected})


def test_a_version(models: Served) -> None:
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}
    for version, status in [(VERSION, 200), (9, 404)]:
        path = f"/v1/models/half_plus_two/versions/{version}:REGRESS"
        assert models.call("POST", path, body)[0] == status


def featured(value: Any) -> dict[str, Any]:
    return {"examples": [{"good": 1}, {"f": value}]}


UNEXPECTED = "Feature: f has element with unexpected JSON type: "
MIXED = "Unexpected element type in feature: f expecting type: "
MISSING = "When method is classify, key 'examples' is expected and was not found"
REFUSED: dict[str, tuple[Any, str]] = {
    "empty": (b"", "JSON Parse error: The document is empty"),
    "not an object": ([1], "JSON Value: [1] Is not object"),
    "signature that is no string": (
        {"signature_name": 1},
        'JSON Value: {"signature_name": 1} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "no examples key": ({}, f"JSON Value: {{}} {MISSING}"),
    "rows of predict": ({"instances": [1]}, f'JSON Value: {{"instances": [1]}} {MISSING}'),
    "no list": (
        {"examples": {}},
        "JSON Value: {\"examples\": {}} Expecting 'examples' value to be an list/array",
    ),
    "empty list": (
        {"examples": []},
        "JSON Value: {\"examples\": []} 'examples' value is an empty array",
    ),
    "a list for an example": (
        {"examples": [{}, [1]]},
        "Example must be JSON object but got JSON Array",
    ),
    "a number for an example": (
        {"examples": [1.5]},
        "Example must be JSON object but got JSON Number",
    ),
    "true for a context": (
        {"context": True, "examples": 1},
        "Example must be JSON object but got JSON True",
    ),
    "wrong feature in a context": ({"context": {"f": None}}, UNEXPECTED + "Null"),
    "null": (featured(None), UNEXPECTED + "Null"),
    "null in a list": (featured([1, None]), UNEXPECTED + "Null"),
    "list in a list": (featured([[1]]), UNEXPECTED + "Array"),
    "object": (featured({"a": 1}), UNEXPECTED + "Object"),
    "object that is nearly base64": (featured(["a", {"b64": 1}]), UNEXPECTED + "Object"),
    "decimal among whole numbers": (featured([1, 2.5]), MIXED + "int64"),
    "whole number among decimals": (featured([1.5, 2]), MIXED + "float"),
    "string among booleans": (featured([True, "a"]), MIXED + "int64"),
    "number among strings": (featured(["a", 1]), MIXED + "bytes"),
    "boolean among base64": (featured([{"b64": "AA=="}, False]), MIXED + "bytes"),
    "the kind before the value": (featured([1, {"b64": "?"}]), MIXED + "int64"),
    "not base64": (featured({"b64": "?"}), "Unable to base64 decode"),
    "too large for int64": (
        featured([1, 2**63]),
        "Feature: f has uint64 element. Only int64 is supported.",
    ),
    "a long whole number is a decimal": (featured([1, 2**64]), MIXED + "int64"),
    "too large for float": (
        featured([1.0, 1e39]),
        "Cannot convert JSON value: 1e+39 to float without loss of precision.",
    ),
    "a whole number too large for float": (
        featured(-(10**39)),
        f"Cannot convert JSON value: -1{'0' * 39} to float without loss of precision.",
    ),
    "half a surrogate": (
        b'{"examples": [{"f": "\\ud800"}]}',
        "JSON Parse error: The surrogate pair in string is invalid.",
    ),
    "half a surrogate as a name": (
        b'{"examples": [{"\\ud800": 1}]}',
        "JSON Parse error: The surrogate pair in string is invalid.",
    ),
    "half a surrogate as signature": (
        b'{"signature_name": "\\ud800", "examples": [{}]}',
        "JSON Parse error: The surrogate pair in string is invalid.",
    ),
}


@pytest.mark.parametrize("action", ["classify", "regress"])
@pytest.mark.parametrize("case", REFUSED)
def test_refuses(models: Served, case: str, action: str) -> None:
    body, text = REFUSED[case]
    # The body is read before the model is looked for.
    for model in ("modern", "none"):
        assert ask(models, action, model, body) == (400, {"error": text})


def test_refusals_of_the_call_itself(models: Served) -> None:
    body = {"signature_name": "s", "examples": [{"x": 2.0}]}
    text = "No signature was found with the name: s"
    assert ask(models, "classify", "odd", body) == (400, {"error": text})
    assert ask(models, "regress", "odd", body) == (400, {"error": text})
    text = "Servable not found for request: Latest(none)"
    assert ask(models, "classify", "none", body) == (404, {"error": text})
    body = {"signature_name": "whole", "examples": [{"x": 2.0}]}
    text = "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"
    assert ask(models, "regress", "odd", body) == (400, {"error": text})


@pytest.mark.parametrize(("action", "name"), [("classify", "endless"), ("regress", "forever")])
def test_a_deadline(models: Served, action: str, name: str) -> None:
    body = {"signature_name": name, "examples": [{"x": 2.0}]}
    with rest_running(models.manager, timeout_seconds=0.5) as server:
        path = f"/v1/models/modern:{action}"
        assert rest_call(server.port, "POST", path, body)[0] == 504


def test_the_same_numbers_as_over_grpc(models: Served) -> None:
    """Bit for bit: floats travel as the shortest text that reads back as the same float."""
    numbers = [1e-45, 0.1, 1 / 3, -2.5, 16777216.0, 3e38, float("nan"), float("inf")]
    by_grpc = models.api.prediction.Regress(regression("odd", "flat", rows(*numbers)))
    body = {"signature_name": "flat", "examples": [{"x": number} for number in numbers]}
    status, content = ask(models, "regress", "odd", body)
    assert status == 200
    expected = [value.value for value in by_grpc.result.regressions]
    np.testing.assert_array_equal(np.array(content["results"], np.float32), expected)
    assert "0.1," in json.dumps(content)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, feature_pb2.Feature(int64_list=feature_pb2.Int64List(value=[2]))),
        ([True, False, -(2**63), 2**63 - 1],
         feature_pb2.Feature(int64_list=feature_pb2.Int64List(value=[1, 0, -(2**63), 2**63 - 1]))),
        ([1.0, 2.5], feature_pb2.Feature(float_list=feature_pb2.FloatList(value=[1.0, 2.5]))),
        ([1.5, 2**64], feature_pb2.Feature(float_list=feature_pb2.FloatList(value=[1.5, 2**64]))),
        ("é\0", feature_pb2.Feature(bytes_list=feature_pb2.BytesList(value=["é\0".encode()]))),
        ([{"b64": "/wA="}, "a", {"b64": "YQ"}],
         feature_pb2.Feature(bytes_list=feature_pb2.BytesList(value=[b"\xff\0", b"a", b"a"]))),
        ([], feature_pb2.Feature()),
    ],
)  # fmt: skip
def test_features(value: Any, expected: Any) -> None:
    request = classification_pb2.ClassificationRequest()
    fill_request(request, parse(json.dumps({"examples": [{"é": value}]}).encode()))
    (made,) = request.input.example_list.examples
    assert made.features.feature["é"] == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b64"]), inner, max_size=2)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(["context", "examples", "signature_name"]), VALUES)


@settings(max_examples=200, deadline=None)
@given(BODIES | VALUES.map(lambda value: {"examples": [{"f": value}]}))
def test_any_json_gives_examples_or_a_refusal(body: dict[str, Any]) -> None:
    request = classification_pb2.ClassificationRequest()
    code = None
    try:
        fill_request(request, parse(json.dumps(body).encode()))
    except ServingError as error:
        code = error.code.name
    assert code in (None, "INVALID_ARGUMENT")
    if code is None:
        sent = getattr(request.input, request.input.WhichOneof("kind"))
        assert len(sent.examples) == len(body["examples"])
