"""JSON to tensors and back, without a server; any bytes give a tensor or a clear refusal."""

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from server.model_server.errors import ServingError
from server.model_server.json_tensors import to_json
from server.model_server.rest_json import Form, parse, read_inputs, write_outputs
from server.model_server.tensors import decode

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64",
          "bool"]  # fmt: skip
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
QUICK = settings(max_examples=100, deadline=None)


def number(dtype: Any) -> int:
    return int(tf.dtypes.as_dtype(dtype).as_datatype_enum)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    return np.asarray(draw(hnp.arrays(draw(st.sampled_from(DTYPES)), draw(SHAPES))))


@QUICK
@given(arrays())
def test_columns_come_back_as_they_were(array: np.ndarray) -> None:
    body = write_outputs({"a": array}, Form.COLUMN)
    document = {"inputs": {"a": parse(body)["outputs"]}}
    form, tensors = read_inputs(document, {"a": number(array.dtype)})
    back = decode(tensors["a"])
    # A dimension of size 0 hides those behind it: [] says no more.
    assert form is Form.COLUMN
    np.testing.assert_array_equal(back.reshape(array.shape), array)
    assert back.dtype == array.dtype
    assert array.size == 0 or back.shape == array.shape


@QUICK
@given(arrays().filter(lambda a: a.ndim > 0 and a.size > 0))
def test_rows_come_back_as_they_were(array: np.ndarray) -> None:
    outputs = {"a": array, "b": array[::-1]}
    rows = parse(write_outputs(outputs, Form.ROW))["predictions"]
    form, tensors = read_inputs({"instances": rows}, dict.fromkeys("ab", number(array.dtype)))
    assert form is Form.ROW
    for name, expected in outputs.items():
        np.testing.assert_array_equal(decode(tensors[name]), expected)


@QUICK
@given(hnp.arrays(object, SHAPES, elements=st.binary(max_size=9), fill=st.nothing()))
def test_bytes_come_back_as_they_were(array: np.ndarray) -> None:
    value = json.loads(json.dumps(to_json("a_bytes", array)))
    _, tensors = read_inputs({"inputs": {"a": value}}, {"a": number(tf.string)})
    assert decode(tensors["a"]).ravel().tolist() == array.ravel().tolist()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.2), "0.2"),
        (np.float32(3), "3.0"),
        (np.float32(9_000_000), "9000000.0"),
        (np.float32(16777216), "16777216.0"),
        (np.float32(0.00003), "3e-05"),
        (np.float32(1e38), "1e+38"),
        (np.float64(0.1), "0.1"),
        (np.float64(np.float32(0.1)), "0.10000000149011612"),
        (np.float16(0.1), "0.099975586"),
        (np.float32("nan"), "NaN"),
        (np.float32("-inf"), "-Infinity"),
        (np.int64(-(2**63)), "-9223372036854775808"),
        (np.bool_(True), "true"),
    ],
)
def test_how_numbers_are_written(value: Any, text: str) -> None:
    assert write_outputs({"a": np.asarray(value)}, Form.COLUMN) == f'{{"outputs": {text}}}'.encode()


def test_scalars_have_no_rows() -> None:
    with pytest.raises(ServingError, match="Tensor name: a has no shape information "):
        write_outputs({"a": np.zeros(())}, Form.ROW)
    with pytest.raises(ServingError, match="Cannot convert empty tensor map to JSON"):
        write_outputs({}, Form.ROW)


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        (
            "float32",
            [2**24 - 1, -(2**24) + 1, 10**30, 3.4028235e38, 1e-60],
            [2**24, 3.5e38, 10**39],
        ),
        ("float64", [2**53 - 1, 10**300], [2**53, -(2**53), 10**400]),
        ("int8", [-128, 127], [-129, 128]),
        ("int64", [-(2**63), 2**63 - 1], [-(2**63) - 1, 2**63]),
        ("uint64", [0, 2**64 - 1], [-1, 2**64]),
    ],
)
def test_ranges(dtype: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        _, tensors = read_inputs({"inputs": value}, {"x": number(dtype)})
        assert decode(tensors["x"]) == np.dtype(dtype).type(value)
    for value in bad:
        with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
            read_inputs({"inputs": [0, value]}, {"x": number(dtype)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "b64"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@QUICK
@given(JSON, st.sampled_from(["inputs", "instances"]), st.booleans(), st.data())
def test_any_json_gives_tensors_or_a_refusal(
    value: Any, key: str, two: bool, data: st.DataObject
) -> None:
    kinds = st.sampled_from([*DTYPES, "string", "half", "uint16", "complex64"])
    dtypes = {name: number(data.draw(kinds)) for name in ("ab" if two else "a")}
    document = parse(json.dumps({key: value}).encode())
    text, tensors = "", {}
    try:
        _, tensors = read_inputs(document, dtypes)
    except ServingError as error:
        text = error.text
    # The last resort's words: whatever is refused must have been explained before.
    assert not text.startswith(("Failed to read", "Failed to process 'instances'"))
    assert set(tensors) == (set() if text else set(dtypes))
    for name, tensor in tensors.items():
        assert number(decode(tensor).dtype) == dtypes[name]


@QUICK
@given(st.binary(max_size=64) | st.text('[]{}":,\\ 01e', max_size=40).map(str.encode))
def test_any_bytes_parse_or_are_refused(body: bytes) -> None:
    code = None
    try:
        parse(body)
    except ServingError as error:
        code = error.code.name
    assert code in (None, "INVALID_ARGUMENT")
