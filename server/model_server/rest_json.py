"""The JSON of REST's predict: from a body to input tensors, from outputs to a body.

Row form has a list `instances`, an item for each row, and is answered with `predictions`; column
form has `inputs`, a tensor or an object of tensors, and is answered with `outputs`. Error texts
are TensorFlow Serving's.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from server.model_server.errors import ServingError, invalid_argument
from server.model_server.json_tensors import check, is_base64, quoted, to_json, to_proto

ROWS, COLUMNS, SIGNATURE = "instances", "inputs", "signature_name"

MOST_DEPTH = 32
"""How deep lists and objects may nest: more than any tensor has dimensions, and few enough for
every recursion here and in Python's parser, which would end at a depth that nobody can name."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)

_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1


class Form(Enum):
    """How a request's tensors are laid out; the answer's follow it. The value is its key."""

    ROW = "predictions"
    COLUMN = "outputs"


def parse(body: bytes) -> dict[str, Any]:
    """The object that a request's body holds.

    Raises:
        ServingError: INVALID_ARGUMENT: it isn't one, or it nests deeper than MOST_DEPTH.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    if _depth(body) > MOST_DEPTH:
        raise invalid_argument(f"JSON Parse error: nested deeper than {MOST_DEPTH} levels")
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=_decimal)
    except UnicodeDecodeError as error:
        raise invalid_argument(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except ValueError as error:
        # From int(), whose digits are limited, or from _decimal.
        raise invalid_argument(
            "JSON Parse error: Number too big to be stored in double."
        ) from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {quoted(document)} Is not object")
    return document


def _depth(body: bytes) -> int:
    bare = np.frombuffer(_STRING.sub(b"", body), np.uint8)
    steps = _STEPS[bare]
    return int(np.cumsum(steps[steps != 0], dtype=np.int64).max(initial=0))


def _decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names; empty if none.

    Raises:
        ServingError: INVALID_ARGUMENT: it isn't a string.
    """
    name = document.get(SIGNATURE, "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {quoted(document)} not formatted correctly. 'signature_name' key must "
            "be a string value."
        )
    return name


def read_inputs(
    document: Mapping[str, Any], dtypes: Mapping[str, int]
) -> tuple[Form, dict[str, Any]]:
    """The tensors of a request and their layout.

    Args:
        document: The parsed body.
        dtypes: The dtype of each input that the signature has.

    Raises:
        ServingError: INVALID_ARGUMENT or UNIMPLEMENTED: they aren't tensors of these dtypes.
    """
    if ROWS in document and COLUMNS in document:
        raise format_error(
            document,
            f"Not formatted correctly expecting only one of '{COLUMNS}' or '{ROWS}' keys to exist ",
        )
    if COLUMNS in document:
        return Form.COLUMN, _read_columns(document[COLUMNS], dtypes)
    if ROWS not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    items = document[ROWS]
    if not isinstance(items, list):
        raise format_error(document, f"Excepting '{ROWS}' to be an list/array")
    if not items:
        raise format_error(document, f"No values in '{ROWS}' array")
    return Form.ROW, _read_rows(items, dtypes)


def format_error(value: Any, text: str) -> ServingError:
    """The error for a value that isn't laid out as it should be."""
    return invalid_argument(f"JSON Value: {quoted(value)} {text}")


def _read_columns(value: Any, dtypes: Mapping[str, int]) -> dict[str, Any]:
    if not isinstance(value, dict) or is_base64(value):
        if len(dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        value = dict.fromkeys(dtypes, value)
    tensors = {}
    for name in sorted(dtypes):
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        tensors[name] = to_proto(value[name], dtypes[name])
        if tensors[name] is None:
            check(value[name], dtypes[name])
            raise invalid_argument(f"Failed to read named input: {name}")
    return tensors


def _read_rows(items: Sequence[Any], dtypes: Mapping[str, int]) -> dict[str, Any]:
    if len(dtypes) > 1 and not isinstance(items[0], dict):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    named = _is_named(items[0])
    columns: dict[str, Any] = {}
    if not named:
        columns = {name: list(items) for name in dtypes}
    elif all(isinstance(item, dict) and item.keys() == dtypes.keys() for item in items):
        columns = {name: [item[name] for item in items] for name in dtypes}
    tensors = {name: to_proto(column, dtypes[name]) for name, column in columns.items()}
    if not tensors or None in tensors.values():
        _check_rows(items, dtypes, named)
        raise invalid_argument("Failed to process 'instances' list")
    return tensors


def _is_named(item: Any) -> bool:
    return isinstance(item, dict) and not is_base64(item)


def _check_rows(items: Sequence[Any], dtypes: Mapping[str, int], named: bool) -> None:
    """Say which row doesn't fit."""
    shapes: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if named != _is_named(item):
            wrong = "object but got list" if named else "value/list but got object"
            raise invalid_argument(f"Expecting {wrong} at item {index} of input list")
        for name, value in item.items() if named else [(next(iter(dtypes)), item)]:
            try:
                _check_item(name, value, dtypes, shapes)
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise invalid_argument(
                    f"Failed to process element: {index}{key} of 'instances' list. Error: {error}"
                ) from error
        if named and item.keys() != dtypes.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{quoted(item)} keys must be equal to: {','.join(sorted(dtypes))}"
            )


def _check_item(
    name: str, value: Any, dtypes: Mapping[str, int], shapes: dict[str, list[int]]
) -> None:
    if name not in dtypes:
        raise invalid_argument(f"JSON object: does not have named input: {name}")
    shape = check(value, dtypes[name])
    first = shapes.setdefault(name, shape)
    if math.prod(first) != math.prod(shape):
        raise invalid_argument(
            f"Expecting tensor size: {math.prod(first)} but got: {math.prod(shape)}"
        )
    if first != shape:
        want, got = (f"[{','.join(map(str, sizes))}]" for sizes in (first, shape))
        raise invalid_argument(f"Expecting shape {want} but got: {got}")


def write_outputs(outputs: Mapping[str, np.ndarray], form: Form) -> bytes:
    """The answer's body.

    Raises:
        ServingError: INVALID_ARGUMENT: row form for outputs that don't have a row for each
            other's, or a dtype that JSON can't carry.
    """
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if form is Form.ROW:
        _check_batch(outputs)
    values = {name: to_json(name, outputs[name]) for name in sorted(outputs)}
    content: Any = values
    if len(values) == 1:
        (content,) = values.values()
    elif form is Form.ROW:
        content = [
            dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)
        ]
    return json.dumps({form.value: content}).encode()


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    batch = None
    for name in sorted(outputs):
        shape = outputs[name].shape
        if not shape:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if batch is not None and shape[0] != batch:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {shape[0]} expecting: {batch}"
            )
        batch = shape[0]
