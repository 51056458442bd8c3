"""MultiInference: several signatures by one run."""

from typing import Any

import pytest

from tests.conformance.api import Api, example, inference_request
from tests.conformance.cases import INVALID, NOT_FOUND, UNIMPLEMENTED, Case, agree, begins, table

pytestmark = pytest.mark.integration

TWO, FIVE = example(x=2.0), example(x=5.0)

Task = tuple[str, dict[str, Any]]


def task(method: str, signature: str = "", model: str | None = "examples", **more: Any) -> Task:
    return method, {"model": model, "signature": signature, **more}


def infer(*tasks: Task, examples: tuple[Any, ...] = (TWO,)) -> Any:
    return inference_request(tasks, *examples)


BOTH, FLAT = task("classify", "both"), task("regress", "flat")
COLUMN = task("regress", "column")


REFUSED = [
    Case("no tasks", infer(), INVALID, "ModelSpec has no name specified."),
    Case("no model_spec in the first", infer(task("regress", model=None)), INVALID,
         "ModelSpec has no name specified."),
    Case("no name in the first", infer(task("regress", model=""), FLAT), INVALID,
         "ModelSpec has no name specified."),
    Case("no name in the second", infer(FLAT, task("classify", "both", model="")), INVALID,
         "Found ModelSpec with an empty model name."),
    Case("two models", infer(FLAT, task("classify", "classify", model="versions")), INVALID,
         "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    Case("the second's model is unknown", infer(FLAT, task("classify", "both", model="none")),
         INVALID, "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    Case("the first's model is unknown", infer(task("regress", "flat", model="none"), FLAT),
         NOT_FOUND, "Servable not found for request: Latest(none)"),
    Case("the same signature twice", infer(FLAT, FLAT), INVALID,
         "Duplicate evaluation of signature: flat"),
    Case("the same signature by two methods", infer(FLAT, task("classify", "flat")), INVALID,
         "Duplicate evaluation of signature: flat"),
    Case("unknown signature", infer(FLAT, task("regress", "s")), INVALID,
         "Requested signature not found in model graph: s"),
    Case("no serving_default", infer(task("regress")), INVALID,
         "Requested signature not found in model graph: serving_default"),
    Case("predict", infer(FLAT, task("predict", "both")), UNIMPLEMENTED,
         "Unsupported signature method_name: tensorflow/serving/predict"),
    Case("signature before method", infer(task("predict", "s")), INVALID,
         "Requested signature not found in model graph: s"),
    Case("a signature that doesn't fit", infer(FLAT, task("classify", "three_outputs")), INVALID,
         "Expected one or two output Tensors, found 3"),
    Case("two inputs for regress", infer(task("regress", "two_regress_inputs")), INVALID,
         "Expected one input Tensor."),
    Case("no example", infer(FLAT, BOTH, examples=()), INVALID, "Input is empty."),
    Case("an output that doesn't fit", infer(FLAT, task("regress", "two_columns")), INVALID,
         begins("Expected output Tensor shape to be either [batch_size] or [batch_size, 1]")),
]  # fmt: skip


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


def summary(result: Any) -> Any:
    if result.WhichOneof("result") == "regression_result":
        return [r.value for r in result.regression_result.regressions]
    return [
        [(c.label, c.score) for c in row.classes]
        for row in result.classification_result.classifications
    ]


UP_DOWN = [[("up", 2.0), ("down", -2.0)], [("up", 5.0), ("down", -5.0)]]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ((FLAT,), [[2.0, 5.0]]),
        ((BOTH,), [UP_DOWN]),
        ((FLAT, BOTH), [[2.0, 5.0], UP_DOWN]),
        ((BOTH, FLAT, COLUMN), [UP_DOWN, [2.0, 5.0], [2.0, 5.0]]),
        ((task("regress", "column_by_predict"),), [[2.0, 5.0]]),
        # As signatures of TensorFlow 2 have them: each gets the same examples.
        ((FLAT, task("regress", "other_input")), [[2.0, 5.0], [20.0, 50.0]]),
    ],
    ids=["regress", "classify", "both", "three", "by-predict", "different-input-tensors"],
)
def test_results_in_the_order_of_tasks(api: Api, tasks: tuple[Task, ...], expected: Any) -> None:
    answer = api.ask(infer(*tasks, examples=(TWO, FIVE)))
    agree(answer, "OK", "")
    message = answer.message
    assert [summary(result) for result in message.results] == expected
    for (_, spec), result in zip(tasks, message.results, strict=True):
        assert result.model_spec.name == "examples"
        assert result.model_spec.signature_name == spec["signature"]
        assert result.model_spec.version.value == 1


def test_the_first_task_chooses_the_version(api: Api) -> None:
    first = task("regress", "regress", model="versions", version=1)
    second = task("classify", "classify", model="versions", version=2)
    message = api.ask(infer(first, second)).message
    assert [summary(result) for result in message.results] == [[2.0], [[("", 2.0)]]]
    assert [result.model_spec.version.value for result in message.results] == [1, 1]
