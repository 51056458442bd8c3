"""MultiInference over a real connection: several results of one run, and refusals in order."""

from collections.abc import Iterator
from typing import Any

import pytest
from tensorflow_serving.apis import inference_pb2

from tests.server.model_server.half_plus_two import (
    CLASSIFY,
    PREDICT,
    REGRESS,
    VERSION,
    example,
    examples,
    multi_inference,
    rows,
    serving,
    task,
)
from tests.server.model_server.helpers import Served, refusal

INVALID, NOT_FOUND, UNIMPLEMENTED = "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"
NO_NAME = "ModelSpec has no name specified."

Y = task(REGRESS, "regress_x_to_y")
Y2 = task(REGRESS, "regress_x_to_y2")
Y3 = task(REGRESS, "regress_x2_to_y3")
CLASSES = task(CLASSIFY, "classify_x_to_y")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("inference")) as served:
        yield served


def results(response: Any) -> list[tuple[str, Any]]:
    """Each result's signature, with its values or its classes."""
    found: list[tuple[str, Any]] = []
    for result in response.results:
        content: Any = [value.value for value in result.regression_result.regressions]
        if result.WhichOneof("result") == "classification_result":
            content = [
                [(c.label, c.score) for c in row.classes]
                for row in result.classification_result.classifications
            ]
        found.append((result.model_spec.signature_name, content))
    return found


ANSWERED: dict[str, tuple[list[Any], Any, list[tuple[str, Any]]]] = {
    "one task": ([Y], rows(2, 4), [("regress_x_to_y", [3.0, 4.0])]),
    "in the order of the tasks": (
        [Y2, CLASSES, Y],
        rows(2, 4),
        [
            ("regress_x_to_y2", [4.0, 5.0]),
            ("classify_x_to_y", [[("", 3.0)], [("", 4.0)]]),
            ("regress_x_to_y", [3.0, 4.0]),
        ],
    ),
    "the default signature": (
        [task(CLASSIFY, "", "modern")],
        rows(2),
        [("serving_default", [[("2.00", 2.0)]])],
    ),
    "a context": (
        [Y, Y2],
        examples(example(), context=example(x=2.0)),
        [("regress_x_to_y", [3.0]), ("regress_x_to_y2", [4.0])],
    ),
    "the version of the first task": (
        [
            task(REGRESS, "regress_x_to_y", version=VERSION),
            task(REGRESS, "regress_x_to_y2", version=9, label="l"),
        ],
        rows(2),
        [("regress_x_to_y", [3.0]), ("regress_x_to_y2", [4.0])],
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_multi_inference_answers(models: Served, case: str) -> None:
    tasks, sent, expected = ANSWERED[case]
    response = models.api.prediction.MultiInference(multi_inference(tasks, sent))
    assert results(response) == expected
    for result, asked in zip(response.results, tasks, strict=True):
        assert result.model_spec.name == asked.model_spec.name
        assert result.model_spec.version.value == VERSION
        assert not result.model_spec.version_label


def test_one_run_serves_all_tasks(models: Served) -> None:
    # The model counts its runs: a run of its own for the second task would have counted on.
    tasks = [task(REGRESS, "count", "odd"), task(REGRESS, "twice_count", "odd")]
    response = models.api.prediction.MultiInference(multi_inference(tasks, rows(2)))
    (_, (count,)), (_, (twice,)) = results(response)
    assert twice == 2 * count


REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "no task": ([], INVALID, NO_NAME),
    "first task without ModelSpec": ([inference_pb2.InferenceTask(), Y], INVALID, NO_NAME),
    "first task without name": ([task(REGRESS, "regress_x_to_y", ""), Y], INVALID, NO_NAME),
    "label": (
        [task(REGRESS, "regress_x_to_y", label="l")],
        INVALID,
        "Unrecognized servable version label: l",
    ),
    "model": (
        [task(REGRESS, "regress_x_to_y", "none"), Y],
        NOT_FOUND,
        "Servable not found for request: Latest(none)",
    ),
    "version": (
        [task(REGRESS, "regress_x_to_y", version=9)],
        NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, 9)",
    ),
    "second task without ModelSpec": (
        [Y, inference_pb2.InferenceTask(method_name=REGRESS)],
        INVALID,
        "Found ModelSpec with an empty model name.",
    ),
    "another model": (
        [Y, task(REGRESS, "count", "odd")],
        INVALID,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "the same signature twice": (
        [Y, task("nonsense", "regress_x_to_y")],
        INVALID,
        "Duplicate evaluation of signature: regress_x_to_y",
    ),
    "unknown signature": (
        [Y, task("nonsense", "none")],
        INVALID,
        "Requested signature not found in model graph: none",
    ),
    "method": (
        [Y, task(PREDICT, "serving_default")],
        UNIMPLEMENTED,
        f"Unsupported signature method_name: {PREDICT}",
    ),
    "no method": (
        [task("", "regress_x_to_y")],
        UNIMPLEMENTED,
        "Unsupported signature method_name: ",
    ),
    "a signature that isn't of the method": (
        [task(REGRESS, "labels_and_scores", "odd")],
        INVALID,
        "Expected one output Tensor.",
    ),
    "another input, which takes no examples": (
        [Y, Y3],
        INVALID,
        "Expects arg[1] to be float but string is provided",
    ),
    "an input that takes no examples": (
        [Y3],
        INVALID,
        "Expects arg[0] to be float but string is provided",
    ),
    "a result that is none": (
        [task(REGRESS, "flat", "odd"), task(CLASSIFY, "double_scores", "odd")],
        INVALID,
        "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_multi_inference_refuses(models: Served, case: str) -> None:
    tasks, code, text = REFUSED[case]
    request = multi_inference(tasks, rows(2))
    assert refusal(lambda: models.api.prediction.MultiInference(request)) == (code, text)


def test_no_examples(models: Served) -> None:
    stub = models.api.prediction
    request = multi_inference([Y], examples())
    assert refusal(lambda: stub.MultiInference(request)) == (INVALID, "Input is empty.")
    request = multi_inference([Y, Y], examples())
    text = "Duplicate evaluation of signature: regress_x_to_y"
    assert refusal(lambda: stub.MultiInference(request)) == (INVALID, text)
