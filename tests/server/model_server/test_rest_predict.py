"""REST's predict over a real connection: answers, refusals, and the same answers as gRPC."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.server.model_server.helpers import Served

ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]

ANSWERED = {
    "rows": ("m", {"instances": [ROW, ROW]}, {"predictions": [DOUBLED, DOUBLED]}),
    "named rows": ("m", {"instances": [{"x": ROW}]}, {"predictions": [DOUBLED]}),
    "a column": ("m", {"inputs": [ROW]}, {"outputs": [DOUBLED]}),
    "a named column": ("m", {"inputs": {"x": [ROW]}}, {"outputs": [DOUBLED]}),
    "no rows": ("m", {"inputs": {"x": []}}, {"outputs": []}),
    "rank 1 for 2": ("m", {"inputs": ROW}, {"outputs": DOUBLED}),
    "whole numbers": ("m", {"inputs": [1, 2, 3, 4]}, {"outputs": DOUBLED}),
    "signature": (
        "m",
        {"signature_name": "pair", "instances": [{"a": ROW, "b": ROW}]},
        {"predictions": [{"difference": [0.0] * 4, "sum": DOUBLED}]},
    ),
    "columns out": (
        "m",
        {"signature_name": "pair", "inputs": {"a": ROW, "b": ROW, "z": "not looked at"}},
        {"outputs": {"difference": [0.0] * 4, "sum": DOUBLED}},
    ),
    "strings": (
        "m",
        {"signature_name": "echo", "instances": ["é", {"b64": "AGI="}, {"b64": "/w"}]},
        {
            "predictions": [
                {"length": 2, "text": "é"},
                {"length": 2, "text": "\0b"},
                {"length": 1, "text": "\ufffd"},
            ]
        },
    ),
    "every kind of value": (
        "mixed",
        {"instances": [{"text": "a", "flag": True, "number": 2}]},
        {
            "predictions": [
                {
                    "flag": True,
                    "half": 0.19995117,  # the half nearest to 0.2, as a float
                    "number": 2,
                    "root": 2**0.5,
                    "text": "a",
                    "text_bytes": {"b64": "YQ=="},
                }
            ]
        },
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_predict_answers(served: Served, case: str) -> None:
    model, body, expected = ANSWERED[case]
    assert served.predict(model, body) == (200, expected)


ELEMENT = "Failed to process element: "
IN_LIST = " of 'instances' list. Error: INVALID_ARGUMENT: "

REFUSED = {
    "empty": ("m", b"", "JSON Parse error: The document is empty"),
    "not an object": ("m", [1], "JSON Value: [1] Is not object"),
    "no key": ("m", {}, "Missing 'inputs' or 'instances' key"),
    "both keys": (
        "m",
        {"inputs": 1, "instances": 2},
        'JSON Value: {"inputs": 1, "instances": 2} Not formatted correctly expecting only one of '
        "'inputs' or 'instances' keys to exist ",
    ),
    "rows that are none": (
        "m",
        {"instances": 2},
        "JSON Value: {\"instances\": 2} Excepting 'instances' to be an list/array",
    ),
    "no rows": (
        "m",
        {"instances": []},
        "JSON Value: {\"instances\": []} No values in 'instances' array",
    ),
    "unknown signature": (
        "m",
        {"signature_name": "s", "inputs": 1},
        'Serving signature name: "s" not found in signature def',
    ),
    "half a surrogate as signature": (
        "m",
        b'{"signature_name": "\\ud800", "inputs": 1}',
        'Serving signature name: "\ud800" not found in signature def',
    ),
    "signature that is no string": (
        "m",
        {"signature_name": 1},
        'JSON Value: {"signature_name": 1} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "ragged": (
        "m",
        {"inputs": [[1], [2, 3]]},
        "Encountered list at unexpected size: 2 at level: 1 expected size: 1",
    ),
    "too deep for its first value": (
        "m",
        {"inputs": [1, [2]]},
        "Encountered list at unexpected level: 1 expected < 1",
    ),
    "too shallow for its first value": (
        "m",
        {"inputs": [[1], 2]},
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    "wrong type": (
        "m",
        {"inputs": [["a"]]},
        'JSON Value: "a" Type: String is not of expected type: float',
    ),
    "true is no number": (
        "m",
        {"inputs": [1, True]},
        "JSON Value: true Type: True is not of expected type: float",
    ),
    "null": ("m", {"inputs": None}, "JSON Value: null Type: Null is not of expected type: float"),
    "object for a number": (
        "m",
        {"inputs": {"x": {"a": 1}}},
        'JSON Value: {"a": 1} Type: Object is not of expected type: float',
    ),
    "too large for float": (
        "m",
        {"inputs": [1e39]},
        "Cannot convert JSON value: 1e+39 to float without loss of precision.",
    ),
    "too exact for float": (
        "m",
        {"inputs": [2**24 + 1]},
        "Cannot convert JSON value: 16777217 to float without loss of precision.",
    ),
    "too large for double": (
        "m",
        b'{"inputs": [1e999]}',
        "JSON Parse error: Number too big to be stored in double.",
    ),
    "too many digits": (
        "m",
        b'{"inputs": [' + b"9" * 5000 + b"]}",
        "JSON Parse error: Number too big to be stored in double.",
    ),
    "too large for uint8": (
        "conv",
        {"inputs": [0, 300]},
        "JSON Value: 300 Type: Number is not of expected type: uint8",
    ),
    "below uint8": (
        "conv",
        {"inputs": [0, -1]},
        "JSON Value: -1 Type: Number is not of expected type: uint8",
    ),
    "decimal for uint8": (
        "conv",
        {"inputs": [0, 1.0]},
        "JSON Value: 1.0 Type: Number is not of expected type: uint8",
    ),
    "wrong type in a row": (
        "m",
        {"instances": [[1.0], [None]]},
        f"{ELEMENT}1{IN_LIST}JSON Value: null Type: Null is not of expected type: float",
    ),
    "wrong type in a named row": (
        "m",
        {"instances": [{"x": "a"}]},
        f'{ELEMENT}0 key: x{IN_LIST}JSON Value: "a" Type: String is not of expected type: float',
    ),
    "rows of different size": (
        "m",
        {"instances": [[1], [2, 3]]},
        f"{ELEMENT}1{IN_LIST}Expecting tensor size: 1 but got: 2",
    ),
    "rows of different shape": (
        "m",
        {"instances": [[1, 2], [[2, 3]]]},
        f"{ELEMENT}1{IN_LIST}Expecting shape [2] but got: [1,2]",
    ),
    "unknown name": (
        "m",
        {"instances": [{"z": 1}]},
        f"{ELEMENT}0 key: z{IN_LIST}JSON object: does not have named input: z",
    ),
    "missing name": (
        "mixed",
        {"instances": [{"text": "a"}]},
        f'{ELEMENT}0 of \'instances\' list. JSON object: {{"text": "a"}} keys must be equal to: '
        "flag,number,text",
    ),
    "missing column": (
        "mixed",
        {"inputs": {"flag": [True]}},
        "Missing named input: number in 'inputs' object.",
    ),
    "list for several inputs": (
        "mixed",
        {"instances": [1]},
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map",
    ),
    "column for several inputs": (
        "mixed",
        {"inputs": [1]},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required "
        "as per tensorinfo_map",
    ),
    "object, then list": (
        "m",
        {"instances": [{"x": ROW}, ROW]},
        "Expecting object but got list at item 1 of input list",
    ),
    "list, then object": (
        "m",
        {"instances": [ROW, {"x": ROW}]},
        "Expecting value/list but got object at item 1 of input list",
    ),
    "not base64": (
        "m",
        {"signature_name": "echo", "inputs": [{"b64": "?"}]},
        "Unable to base64 decode",
    ),
    "not quite base64": (
        "m",
        {"signature_name": "echo", "inputs": {"text": [{"b64": 1}]}},
        'JSON Value: {"b64": 1} not formatted correctly for base64 data',
    ),
    "number for a string": (
        "m",
        {"signature_name": "echo", "inputs": [1]},
        "JSON Value: 1 Type: Number is not of expected type: string",
    ),
    "half a surrogate": (
        "m",
        b'{"signature_name": "echo", "inputs": ["\\ud800"]}',
        "JSON Parse error: The surrogate pair in string is invalid.",
    ),
    "wrong rank": (
        "conv",
        {"instances": [1]},
        "input images must have rank 4 as in its signature, not rank 1",
    ),
    "output without JSON": (
        "mixed",
        {"signature_name": "short", "instances": [1]},
        "Failed to write JSON value for tensor type: uint16",
    ),
    "outputs of different length": (
        "mixed",
        {"signature_name": "uneven", "instances": [1, 2]},
        "Tensor name: one has inconsistent batch size: 1 expecting: 2",
    ),
    "not UTF-8": (
        "m",
        b'{"inputs": ["\xff"]}',
        "JSON Parse error: Invalid encoding in string. at offset: 13",
    ),
    "too deep": (
        "m",
        b'{"inputs": ' + b"[" * 100_000,
        "JSON Parse error: nested deeper than 32 levels",
    ),
    "cut off": ("m", b'{"inputs": [1', "JSON Parse error: Expecting ',' delimiter at offset: 13"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_predict_refuses(served: Served, case: str) -> None:
    model, body, text = REFUSED[case]
    assert served.predict(model, body) == (400, {"error": text})


def test_brackets_in_strings_are_not_depth(served: Served) -> None:
    text = '["{\\' * 100
    body = {"signature_name": "echo", "inputs": [text]}
    assert served.predict("m", body)[1]["outputs"]["text"] == [text]


def test_input_without_json(served: Served) -> None:
    text = "Conversion of JSON Value: 1 to type: half"
    body: dict[str, Any] = {"signature_name": "small", "inputs": [1]}
    assert served.predict("mixed", body) == (501, {"error": text})
    body = {"signature_name": "small", "instances": [1]}
    text = f"{ELEMENT}0 of 'instances' list. Error: UNIMPLEMENTED: {text}"
    assert served.predict("mixed", body) == (400, {"error": text})


def test_long_values_are_cut_in_texts(served: Served) -> None:
    code, content = served.predict("m", {"instances": "a" * 10**6})
    assert code == 400
    assert content["error"].endswith("... Excepting 'instances' to be an list/array")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("model", "alias", "output", "inputs"),
    [
        ("neuron", "x", "y", np.linspace(-3, 1e6, 7, dtype=np.float32).reshape(7, 1)),
        ("neuron", "x", "y", np.array([[np.nan], [np.inf], [-np.inf], [1e-45]], np.float32)),
        ("features", "images", "features",
         np.random.default_rng(5).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)),
    ],
)  # fmt: skip
def test_rows_columns_and_grpc_agree(
    served: Served, model: str, alias: str, output: str, inputs: np.ndarray
) -> None:
    """Bit for bit: floats travel as the shortest text that reads back as the same float."""
    by_grpc = tf.make_ndarray(served.api.predict(model, **{alias: inputs}).outputs[output])
    values = inputs.tolist()
    bodies = {
        "predictions": [{"instances": values}, {"instances": [{alias: row} for row in values]}],
        "outputs": [{"inputs": values}, {"inputs": {alias: values}}],
    }
    for key, forms in bodies.items():
        for body in forms:
            status, content = served.predict(model, body)
            assert status == 200, content
            np.testing.assert_array_equal(np.array(content[key], np.float32), by_grpc)
