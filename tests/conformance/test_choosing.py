"""Which version answers: the model_spec's name, version and label, for every method alike."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.api import (
    Api,
    arrays,
    classify_request,
    example,
    inference_request,
    metadata_request,
    predict_request,
    regress_request,
)
from tests.conformance.cases import INVALID, NOT_FOUND, Case, agree, floats, table

pytestmark = pytest.mark.integration

ONE = example(x=1.0)


def predict(model: str | None, **spec: Any) -> Any:
    return predict_request(model, x=floats([1]), spec=spec)


def classify(model: str | None, **spec: Any) -> Any:
    return classify_request(model, ONE, **{"signature": "classify", **spec})


def regress(model: str | None, **spec: Any) -> Any:
    return regress_request(model, ONE, **{"signature": "regress", **spec})


def infer(model: str | None, **spec: Any) -> Any:
    return inference_request([("regress", {"model": model, "signature": "regress", **spec})], ONE)


def describe(model: str | None, **spec: Any) -> Any:
    return metadata_request(model, "signature_def", **spec)


METHODS: dict[str, Callable[..., Any]] = {
    "Predict": predict,
    "Classify": classify,
    "Regress": regress,
    "MultiInference": infer,
    "GetModelMetadata": describe,
}

MISSING = "Servable not found for request: "

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty name": ({"model": ""}, INVALID, "ModelSpec has no name specified."),
    "empty name before version": (
        {"model": "", "version": 9}, INVALID, "ModelSpec has no name specified.",
    ),
    "empty name before label": (
        {"model": "", "label": "nonsense"}, INVALID, "ModelSpec has no name specified.",
    ),
    "unknown label": (
        {"model": "versions", "label": "nonsense"},
        INVALID,
        "Unrecognized servable version label: nonsense",
    ),
    "label of a model without labels": (
        {"model": "numbers", "label": "stable"},
        INVALID,
        "Unrecognized servable version label: stable",
    ),
    "label of an unknown model": (
        {"model": "none", "label": "stable"},
        INVALID,
        "Unrecognized servable version label: stable",
    ),
    "unknown model": ({"model": "none"}, NOT_FOUND, MISSING + "Latest(none)"),
    "version of an unknown model": (
        {"model": "none", "version": 1}, NOT_FOUND, MISSING + "Specific(none, 1)",
    ),
    "unknown version": (
        {"model": "versions", "version": 9}, NOT_FOUND, MISSING + "Specific(versions, 9)",
    ),
    "version wrapper holding 0": (
        {"model": "versions", "version": 0}, NOT_FOUND, MISSING + "Specific(versions, 0)",
    ),
    "negative version": (
        {"model": "versions", "version": -1}, NOT_FOUND, MISSING + "Specific(versions, -1)",
    ),
    "label of a version that is not loaded": (
        {"model": "versions", "label": "gone"}, NOT_FOUND, MISSING + "Specific(versions, 9)",
    ),
    "name of another case": ({"model": "Versions"}, NOT_FOUND, MISSING + "Latest(Versions)"),
}  # fmt: skip

ROWS = [
    Case(f"{method} {name}", build(**spec), code, text)
    for method, build in METHODS.items()
    for name, (spec, code, text) in REFUSED.items()
]

ABSENT = [
    Case(
        f"{method} without model_spec",
        build(None),
        INVALID,
        # MultiInference takes that of its first task, whatever is there.
        "ModelSpec has no name specified." if method == "MultiInference" else "Missing ModelSpec",
    )
    for method, build in METHODS.items()
]


@table(ROWS + ABSENT)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


CHOSEN: dict[str, tuple[dict[str, Any], int]] = {
    "no version is the highest": ({}, 2),
    "version 1": ({"version": 1}, 1),
    "version 2": ({"version": 2}, 2),
    "label stable": ({"label": "stable"}, 1),
    "label canary": ({"label": "canary"}, 2),
}


def answered_version(method: str, message: Any) -> tuple[Any, float | None]:
    """The model_spec of a response, and what the model made of 1."""
    if method == "MultiInference":
        (result,) = message.results
        return result.model_spec, result.regression_result.regressions[0].value
    value = None
    if method == "Predict":
        value = float(arrays(message)["y"][0])
    elif method == "Classify":
        value = message.result.classifications[0].classes[0].score
    elif method == "Regress":
        value = message.result.regressions[0].value
    return message.model_spec, value


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("method", METHODS)
def test_chosen(api: Api, method: str, chosen: str) -> None:
    """The version asked for computes the answer, and the answer says which it was."""
    spec, version = CHOSEN[chosen]
    answer = api.ask(METHODS[method]("versions", **spec))
    agree(answer, "OK", "")
    said, value = answered_version(method, answer.message)
    assert (said.name, said.version.value) == ("versions", version)
    assert said.HasField("version")
    assert not said.version_label
    assert value in (None, float(version))


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("Predict", "serving_default"),
        ("Classify", "classify"),
        ("Regress", "regress"),
        ("MultiInference", "regress"),
        ("GetModelMetadata", ""),
    ],
)
def test_the_signature_that_answered_is_named(api: Api, method: str, signature: str) -> None:
    answer = api.ask(METHODS[method]("versions"))
    agree(answer, "OK", "")
    assert answered_version(method, answer.message)[0].signature_name == signature
