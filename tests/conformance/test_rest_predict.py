"""REST's predict: rows and columns, every kind of value, what is refused and how."""

import math
from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.cases import RestCase, Text, begins, spaced, table
from tests.conformance.differences import (
    BODY_LIMITS,
    JSON_RANGE,
    JSON_WORDS,
    NOT_UTF8,
    WRONG_RANK,
)

pytestmark = pytest.mark.integration

ROW, DOUBLED = [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]


def good(name: str, model: str, body: Any, content: Any) -> RestCase:
    return RestCase(name, f"/v1/models/{model}:predict", body, 200, content)


def bad(name: str, model: str, body: Any, error: Text | None, status: int = 400) -> RestCase:
    return RestCase(name, f"/v1/models/{model}:predict", body, status, error=error)


def of(dtype: str, value: Any, key: str = "inputs") -> dict[str, Any]:
    return {"signature_name": dtype, key: value}


MIXED = {"text": "a", "flag": True, "number": 2}

ANSWERED = [
    good("rows", "numbers", {"instances": [ROW, ROW]}, {"predictions": [DOUBLED, DOUBLED]}),
    good("named rows", "numbers", {"instances": [{"x": ROW}]}, {"predictions": [DOUBLED]}),
    good("a column", "numbers", {"inputs": [ROW]}, {"outputs": [DOUBLED]}),
    good("a named column", "numbers", {"inputs": {"x": [ROW]}}, {"outputs": [DOUBLED]}),
    good("whole numbers for float", "numbers", {"inputs": [[1, 2, 3, 4]]}, {"outputs": [DOUBLED]}),
    good("serving_default by name", "numbers", of("serving_default", [ROW]),
         {"outputs": [DOUBLED]}),
    good("an empty name", "numbers", of("", [ROW]), {"outputs": [DOUBLED]}),
    good("rank 1 where 2 is declared", "numbers", {"inputs": ROW}, {"outputs": DOUBLED}),
    good("a scalar where 2 is declared", "numbers", {"inputs": 3}, {"outputs": 6.0}),
    good("a column without rows", "numbers", {"inputs": []}, {"outputs": []}),
    good("several in rows", "numbers", {"signature_name": "pair", "instances": [
         {"a": ROW, "b": ROW}]}, {"predictions": [{"difference": [0.0] * 4, "sum": DOUBLED}]}),
    good("several in columns", "numbers", {"signature_name": "pair", "inputs": {
         "a": [ROW], "b": [ROW]}}, {"outputs": {"difference": [[0.0] * 4], "sum": [DOUBLED]}}),
    good("a column that nobody wants", "numbers", {"inputs": {"x": [ROW], "z": "?"}},
         {"outputs": [DOUBLED]}),
    good("a key that nobody knows", "numbers", {"inputs": [ROW], "z": 1}, {"outputs": [DOUBLED]}),
    good("half_plus_two", "half_plus_two", {"instances": [2.0, 3.0, 4.0]},
         {"predictions": [3.0, 3.5, 4.0]}),
    good("text", "texts", {"instances": ["é", "日本"]}, {"predictions": [
         {"length": 2, "text": "é", "text_bytes": {"b64": "w6k="}},
         {"length": 6, "text": "日本", "text_bytes": {"b64": "5pel5pys"}}]}),
    good("base64", "texts", {"inputs": [{"b64": "AGI="}]}, {"outputs": {
         "length": [2], "text": ["\0b"], "text_bytes": [{"b64": "AGI="}]}}),
    good("base64 of one column", "texts", {"inputs": {"text": [{"b64": "YQ=="}]}}, {"outputs": {
         "length": [1], "text": ["a"], "text_bytes": [{"b64": "YQ=="}]}}),
    good("base64 in a row of one input", "texts", {"instances": [{"b64": "YQ=="}]}, {"predictions":
         [{"length": 1, "text": "a", "text_bytes": {"b64": "YQ=="}}]}),
    good("base64 in a named row", "texts", {"instances": [{"text": {"b64": "YQ=="}}]},
         {"predictions": [{"length": 1, "text": "a", "text_bytes": {"b64": "YQ=="}}]}),
    good("base64 without padding", "texts", {"inputs": [{"b64": "YQ"}]}, {"outputs": {
         "length": [1], "text": ["a"], "text_bytes": [{"b64": "YQ=="}]}}),
    good("mixed rows", "texts", {"signature_name": "mixed", "instances": [MIXED]},
         {"predictions": [MIXED]}),
    good("half out", "texts", of("halved", [0.5, 0.1]), {"outputs": [0.5, 0.099975586]}),
    good("double", "dtypes", of("float64", [0.1]), {"outputs": [0.1]}),
    good("int64", "dtypes", of("int64", [-(2**63), 2**63 - 1]),
         {"outputs": [-(2**63), 2**63 - 1]}),
    good("uint64", "dtypes", of("uint64", [2**64 - 1]), {"outputs": [2**64 - 1]}),
    good("uint32", "dtypes", of("uint32", [2**32 - 1]), {"outputs": [2**32 - 1]}),
    good("int8", "dtypes", of("int8", [-128, 127]), {"outputs": [-128, 127]}),
    good("uint8", "dtypes", of("uint8", [0, 255]), {"outputs": [0, 255]}),
    good("bool", "dtypes", of("bool", [True, False]), {"outputs": [True, False]}),
    good("a scalar", "dtypes", of("int32", 5), {"outputs": 5}),
    good("rows of scalars", "dtypes", of("int32", [5, 6], "instances"), {"predictions": [5, 6]}),
    good("nested lists", "dtypes", of("int32", [[[1], [2]]]), {"outputs": [[[1], [2]]]}),
    good("nothing nested", "dtypes", of("int32", [[], []]), {"outputs": [[], []]}),
    good("a column whose output is a scalar", "texts", of("whole", [1.0, 2.0]), {"outputs": 3.0}),
    good("columns of different length", "texts", of("uneven", [1.0, 2.0]),
         {"outputs": {"all": [1.0, 2.0], "one": [1.0]}}),
]  # fmt: skip


@table(ANSWERED)
def test_answered(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


IN_LIST = " of 'instances' list. Error: INVALID_ARGUMENT: "
ELEMENT = "Failed to process element: "


def of_type(value: str, kind: str, dtype: str = "float") -> str:
    return f"JSON Value: {value} Type: {kind} is not of expected type: {dtype}"


REFUSED = [
    bad("no body", "numbers", b"", "JSON Parse error: The document is empty"),
    bad("not JSON", "numbers", b"{", begins("JSON Parse error: ")),
    bad("not an object", "numbers", [1], spaced("JSON Value: [1] Is not object")),
    bad("no key", "numbers", {}, "Missing 'inputs' or 'instances' key"),
    bad("both keys", "numbers", {"inputs": 1, "instances": [2]}, spaced(
        'JSON Value: {"inputs": 1, "instances": [2]} Not formatted correctly expecting only one '
        "of 'inputs' or 'instances' keys to exist")),
    bad("instances that are no list", "numbers", {"instances": 2}, spaced(
        "JSON Value: {\"instances\": 2} Excepting 'instances' to be an list/array")),
    bad("no instances", "numbers", {"instances": []}, spaced(
        "JSON Value: {\"instances\": []} No values in 'instances' array")),
    bad("unknown signature", "numbers", of("s", 1),
        'Serving signature name: "s" not found in signature def'),
    bad("no serving_default", "dtypes", {"inputs": 1},
        'Serving signature name: "serving_default" not found in signature def'),
    bad("signature that is no string", "numbers", {"signature_name": 1}, spaced(
        'JSON Value: {"signature_name": 1} not formatted correctly. '
        "'signature_name' key must be a string value.")),
    bad("text for float", "numbers", {"inputs": ["a"]}, of_type('"a"', "String")),
    bad("true for float", "numbers", {"inputs": [True]}, of_type("true", "True")),
    bad("false for float", "numbers", {"inputs": [False]}, of_type("false", "False")),
    bad("null for float", "numbers", {"inputs": [None]}, of_type("null", "Null")),
    bad("an object for float", "numbers", {"inputs": {"x": {"a": 1}}},
        spaced(of_type('{"a": 1}', "Object"))),
    bad("base64 for float", "numbers", {"inputs": [{"b64": "YQ=="}]},
        spaced(of_type('{"b64": "YQ=="}', "Object"))),
    bad("a decimal for int32", "dtypes", of("int32", [1.5]), of_type("1.5", "Number", "int32")),
    bad("a decimal for uint8", "dtypes", of("uint8", [1.0]), of_type("1.0", "Number", "uint8")),
    bad("text for int64", "dtypes", of("int64", ["1"]), of_type('"1"', "String", "int64")),
    bad("a number for bool", "dtypes", of("bool", [1]), of_type("1", "Number", "bool")),
    bad("a number for text", "texts", {"inputs": [1]}, of_type("1", "Number", "string")),
    bad("too large for int32", "dtypes", of("int32", [2**31]),
        of_type("2147483648", "Number", "int32")),
    bad("too large for uint8 and int32", "dtypes", of("uint8", [2**31]),
        of_type("2147483648", "Number", "uint8")),
    bad("below uint32", "dtypes", of("uint32", [-1]), of_type("-1", "Number", "uint32")),
    bad("too large for int64", "dtypes", of("int64", [2**63]),
        of_type("9223372036854775808", "Number", "int64")),
    bad("too exact for float", "numbers", {"inputs": [2**24]},
        "Cannot convert JSON value: 16777216 to float without loss of precision."),
    bad("too large for float", "numbers", {"inputs": [1e39]},
        "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    bad("too large for double", "dtypes", b'{"signature_name": "float64", "inputs": [1e999]}',
        begins("JSON Parse error: ")),
    bad("a list too long", "numbers", {"inputs": [[1], [2, 3]]},
        "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    bad("a list too deep", "numbers", {"inputs": [1, [2]]},
        "Encountered list at unexpected level: 1 expected < 1"),
    bad("a value too high", "numbers", {"inputs": [[1], 2]},
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    bad("wrong type in a row", "numbers", {"instances": [[1.0], [None]]},
        f"{ELEMENT}1{IN_LIST}" + of_type("null", "Null")),
    bad("wrong type in a named row", "numbers", {"instances": [{"x": "a"}]},
        f"{ELEMENT}0 key: x{IN_LIST}" + of_type('"a"', "String")),
    bad("rows of different size", "numbers", {"instances": [[1], [2, 3]]},
        f"{ELEMENT}1{IN_LIST}Expecting tensor size: 1 but got: 2"),
    bad("rows of different shape", "numbers", {"instances": [[1, 2], [[2, 3]]]},
        f"{ELEMENT}1{IN_LIST}Expecting shape [2] but got: [1,2]"),
    bad("unknown name in a row", "numbers", {"instances": [{"z": 1}]},
        f"{ELEMENT}0 key: z{IN_LIST}JSON object: does not have named input: z"),
    bad("missing name in a row", "texts", {"signature_name": "mixed", "instances": [{"text": "a"}]},
        spaced(f"{ELEMENT}0 of 'instances' list. JSON object: {{\"text\": \"a\"}} "
               "keys must be equal to: flag,number,text")),
    bad("missing column", "numbers", {"signature_name": "pair", "inputs": {"a": [ROW]}},
        "Missing named input: b in 'inputs' object."),
    bad("plain rows for several inputs", "texts", {"signature_name": "mixed", "instances": [1]},
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map"),
    bad("a plain column for several inputs", "texts", {"signature_name": "mixed", "inputs": [1]},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required "
        "as per tensorinfo_map"),
    bad("an object, then a list", "numbers", {"instances": [{"x": ROW}, ROW]},
        "Expecting object but got list at item 1 of input list"),
    bad("a list, then an object", "numbers", {"instances": [ROW, {"x": ROW}]},
        "Expecting value/list but got object at item 1 of input list"),
    bad("not base64", "texts", {"inputs": [{"b64": "?"}]}, "Unable to base64 decode"),
    bad("b64 that is no string", "texts", {"inputs": {"text": [{"b64": 1}]}}, spaced(
        'JSON Value: {"b64": 1} not formatted correctly for base64 data')),
    bad("rows whose output has none", "texts", of("whole", [1.0, 2.0], "instances"),
        "Tensor name: sum has no shape information "),
    bad("a dtype without JSON", "dtypes", of("complex64", [1]),
        "Conversion of JSON Value: 1 to type: complex64", 501),
    bad("an output without JSON", "texts", of("coded", [1.0]),
        "Failed to write JSON value for tensor type: uint16"),
    bad("a kernel's error", "numbers", of("product", [[1.0, 2.0]]), None),
]  # fmt: skip


@table(REFUSED)
def test_refused(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


def test_rows_of_outputs_of_different_length(rest: Api) -> None:
    """In which order the outputs are looked at is left open."""
    reply = rest.call("POST", "/v1/models/texts:predict", of("uneven", [1.0, 2.0], "instances"))
    assert reply.status == 400
    assert reply.content["error"] in (
        "Tensor name: one has inconsistent batch size: 1 expecting: 2",
        "Tensor name: all has inconsistent batch size: 2 expecting: 1",
    )


def differs(name: str, body: Any, error: Text, difference: Any, reference: Any) -> RestCase:
    return RestCase(
        name, "/v1/models/dtypes:predict", body, 400, error=error,
        difference=difference, reference=reference,
    )  # fmt: skip


WRAPS = [
    differs("300 for uint8", of("uint8", [300]), of_type("300", "Number", "uint8"), JSON_RANGE,
            (200, {"outputs": [44]})),
    differs("below uint8", of("uint8", [-1]), of_type("-1", "Number", "uint8"), JSON_RANGE,
            (200, {"outputs": [255]})),
    differs("200 for int8", of("int8", [200]), of_type("200", "Number", "int8"), JSON_RANGE,
            (200, {"outputs": [-56]})),
]  # fmt: skip


@table(WRAPS)
def test_numbers_out_of_range(rest: Api, row: RestCase, embedded: bool | None) -> None:
    row.hold(rest, embedded)


HERE = [
    (bad("wrong rank", "images", {"instances": [1]},
         "input images must have rank 4 as in its signature, not rank 1"), WRONG_RANK),
    (bad("too deep", "numbers", b'{"inputs": ' + b"[" * 100_000,
         "JSON Parse error: nested deeper than 32 levels"), BODY_LIMITS),
    (bad("cut off", "numbers", b'{"inputs": [1',
         "JSON Parse error: Expecting ',' delimiter at offset: 13"), JSON_WORDS),
    (good("not UTF-8", "texts", {"inputs": [{"b64": "/w=="}]}, {"outputs": {
          "length": [1], "text": ["\ufffd"], "text_bytes": [{"b64": "/w=="}]}}), NOT_UTF8),
]  # fmt: skip


@pytest.mark.parametrize("case", HERE, ids=[row.name.replace(" ", "-") for row, _ in HERE])
def test_only_here(rest: Api, case: Any, embedded: bool | None) -> None:
    row, difference = case
    if not embedded:
        pytest.skip(f"TensorFlow Serving: {difference.reference}")
    row.hold(rest, embedded)


NUMBERS = {
    "float32": {
        0.2: "0.2",
        3: "3.0",
        -0.5: "-0.5",
        1.1: "1.1",
        123456: "123456.0",
        16777215: "16777215.0",
        1e38: "1e+38",
    },
    "float64": {0.1: "0.1", 3: "3.0", 0.1 + 0.2: "0.30000000000000004"},
    "int32": {3: "3"},
}


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [(dtype, value, text) for dtype, pairs in NUMBERS.items() for value, text in pairs.items()],
)
def test_how_numbers_are_written(rest: Api, dtype: str, value: float, text: str) -> None:
    """Shortest text that reads back the same; whole numbers of a float dtype with .0."""
    reply = rest.call("POST", "/v1/models/dtypes:predict", of(dtype, value))
    assert "".join(reply.body.decode().split()) == f'{{"outputs":{text}}}'


def test_nan_and_infinity_are_bare(rest: Api) -> None:
    body = b'{"signature_name": "float32", "inputs": [NaN, Infinity, -Infinity]}'
    reply = rest.call("POST", "/v1/models/dtypes:predict", body)
    assert "".join(reply.body.decode().split()) == '{"outputs":[NaN,Infinity,-Infinity]}'


def test_nan_computed(rest: Api) -> None:
    reply = rest.call("POST", "/v1/models/texts:predict", of("rooted", [-1.0, 4.0], "instances"))
    nan, two = reply.content["predictions"]
    assert math.isnan(nan)
    assert two == 2.0


def test_halves_and_bfloats(rest: Api) -> None:
    """No JSON is read as half or bfloat16."""
    for dtype in ("float16", "bfloat16"):
        reply = rest.call("POST", "/v1/models/dtypes:predict", of(dtype, [1]))
        kind = {"float16": "half"}.get(dtype, dtype)
        assert (reply.status, reply.content) == (
            501,
            {"error": f"Conversion of JSON Value: 1 to type: {kind}"},
        )
