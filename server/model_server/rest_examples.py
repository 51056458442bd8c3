"""The JSON of REST's classify and regress: from a body to examples, from results to a body.

A body has a list `examples`, each an object of features, and maybe a `context`, whose features
belong to every example. A feature is a value or a list of values of one kind: whole numbers and
booleans become int64, decimals float, strings and base64 bytes. Error texts are TensorFlow
Serving's.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from server.model_server.classify import Classes
from server.model_server.errors import invalid_argument
from server.model_server.json_tensors import (
    check,
    decimals,
    is_base64,
    to_bytes,
    to_json,
    type_name,
)
from server.model_server.rest_json import format_error, signature_name

CONTEXT, EXAMPLES, RESULTS = "context", "examples", "results"


def fill_request(request: Any, document: Mapping[str, Any]) -> None:
    """Write the signature's name and the examples of a body into a request.

    Args:
        request: A ClassificationRequest or a RegressionRequest.
        document: The parsed body.

    Raises:
        ServingError: INVALID_ARGUMENT: it doesn't hold examples.
    """
    # As bytes, since Python's text may be half of a surrogate pair, which no proto holds.
    request.model_spec.signature_name = to_bytes(signature_name(document))
    examples = request.input.example_list
    if CONTEXT in document:
        examples = request.input.example_list_with_context
        _fill_example(examples.context, document[CONTEXT])
    if EXAMPLES not in document:
        raise format_error(
            document, f"When method is classify, key '{EXAMPLES}' is expected and was not found"
        )
    items = document[EXAMPLES]
    if not isinstance(items, list):
        raise format_error(document, f"Expecting '{EXAMPLES}' value to be an list/array")
    if not items:
        raise format_error(document, f"'{EXAMPLES}' value is an empty array")
    for item in items:
        _fill_example(examples.examples.add(), item)


def _fill_example(example: Any, value: Any) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    features = example.features.feature
    for name, content in value.items():
        feature = features[to_bytes(name)]
        _fill_feature(feature, name, content if isinstance(content, list) else [content])


def _fill_feature(feature: Any, name: str, values: Sequence[Any]) -> None:
    types = set(map(type, values))
    # Long lists are mostly of one type; only for others the values are looked at one by one.
    if types == {float} and decimals(values, np.float32) is not None:
        feature.float_list.value.extend(values)
        return
    if types == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        feature.int64_list.value.extend(values)
        return
    kind = ""
    elements = []
    for value in values:
        own = _kind(name, value)
        if kind and kind != own:
            raise invalid_argument(
                f"Unexpected element type in feature: {name} expecting type: {kind}"
            )
        kind = own
        elements.append(_element(name, kind, value))
    if kind:
        getattr(feature, f"{kind}_list").value.extend(elements)


_KINDS = {str: "bytes", dict: "bytes", float: "float", int: "int64", bool: "int64"}


def _kind(name: str, value: Any) -> str:
    kind = type(value)
    if kind not in _KINDS or (kind is dict and not is_base64(value)):
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
        )
    # TensorFlow Serving's parser reads whole numbers that don't fit into 64 bits as decimals.
    if kind is int and not -(2**63) <= value < 2**64:
        return "float"
    return _KINDS[kind]


def _element(name: str, kind: str, value: Any) -> Any:
    if kind == "bytes":
        return to_bytes(value)
    if kind == "float":
        check(value, types_pb2.DT_FLOAT)
        return float(value)
    if value >= 2**63:
        raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
    return int(value)


def write_classes(classes: Classes) -> bytes:
    """The body that answers a classification: for each example a list of [label, score]."""
    scores = to_json("scores", classes.scores)
    rows = zip(classes.labels, scores, strict=True)
    return json.dumps({RESULTS: [list(zip(*row, strict=True)) for row in rows]}).encode()


def write_values(values: np.ndarray) -> bytes:
    """The body that answers a regression: a number for each example."""
    return json.dumps({RESULTS: to_json("values", values)}).encode()
