"""Classify and Regress over a real connection, warm-up with their requests, examples as bytes."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    prediction_log_pb2,
    regression_pb2,
)

from server.model_server.config import ModelConfig
from server.model_server.examples import serialized
from tests.server.model_server import helpers
from tests.server.model_server.half_plus_two import (
    CLASSIFY,
    VERSION,
    classification,
    example,
    examples,
    multi_inference,
    regression,
    rows,
    save_half_plus_two,
    serving,
    task,
)
from tests.server.model_server.helpers import Served, refusal, until

pytestmark = pytest.mark.heavy

INVALID, NOT_FOUND = "INVALID_ARGUMENT", "NOT_FOUND"
EMPTY = "Input is empty."
NO_VERSION = "Servable not found for request: "


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("examples")) as served:
        yield served


def classes(response: Any) -> list[list[tuple[str, float]]]:
    return [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]


def values(response: Any) -> list[float]:
    return [regression.value for regression in response.result.regressions]


CLASSIFIED: dict[str, tuple[str, str, Any, list[list[tuple[str, float]]]]] = {
    "scores alone": (
        "half_plus_two", "classify_x_to_y", rows(2, 4), [[("", 3.0)], [("", 4.0)]],
    ),
    "labels alone": (
        "odd", "labels", rows(2, 4), [[("2.0", 0.0), ("-2.0", 0.0)], [("4.0", 0.0), ("-4.0", 0.0)]],
    ),
    "both": ("odd", "labels_and_scores", rows(2), [[("2.0", 2.0), ("-2.0", -2.0)]]),
    "another output beside": ("odd", "scores_and_more", rows(2), [[("", 2.0), ("", -2.0)]]),
    "no classes": ("odd", "no_classes_of", rows(2, 4), [[], []]),
    "labels that aren't UTF-8": ("odd", "raw_labels", rows(2), [[("\ufffd\0", 2.0)]]),
    "a signature of TensorFlow 2": ("modern", "", rows(2), [[("2.00", 2.0)]]),
    "a context": (
        "half_plus_two", "classify_x_to_y",
        examples(example(), example(x2=1.0), context=example(x=2.0)), [[("", 3.0)], [("", 3.0)]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASSIFIED)
def test_classify_answers(models: Served, case: str) -> None:
    model, signature, sent, expected = CLASSIFIED[case]
    response = models.api.prediction.Classify(classification(model, signature, sent))
    assert classes(response) == expected


REGRESSED: dict[str, tuple[str, str, Any, list[float]]] = {
    "y": ("half_plus_two", "regress_x_to_y", rows(2, 4, -4), [3.0, 4.0, 0.0]),
    "y2": ("half_plus_two", "regress_x_to_y2", rows(2), [4.0]),
    "a flat output": ("odd", "flat", rows(2, 4), [2.0, 4.0]),
    "a signature of TensorFlow 2": ("modern", "regress", rows(2, 4), [4.0, 8.0]),
    "a context": (
        "half_plus_two", "regress_x_to_y",
        examples(example(), example(x=6.0), context=example(x=2.0)), [3.0, 5.0],
    ),
    "a context for one example that is all there is": (
        "half_plus_two", "regress_x_to_y", examples(example(x=2.0), context=example()), [3.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REGRESSED)
def test_regress_answers(models: Served, case: str) -> None:
    model, signature, sent, expected = REGRESSED[case]
    response = models.api.prediction.Regress(regression(model, signature, sent))
    assert values(response) == expected


def test_many_examples_keep_their_order(models: Served) -> None:
    numbers = np.arange(1000, dtype=np.float32)
    response = models.api.prediction.Regress(regression("odd", "flat", rows(*numbers.tolist())))
    np.testing.assert_array_equal(values(response), numbers)


def test_who_answered(models: Served) -> None:
    stub = models.api.prediction
    for response, name in [
        (stub.Classify(classification("modern", "", rows(2))), "serving_default"),
        (stub.Regress(regression("modern", "regress", rows(2), version=VERSION)), "regress"),
    ]:
        spec = response.model_spec
        assert (spec.name, spec.signature_name, spec.version.value) == ("modern", name, VERSION)
        assert not spec.version_label


# What fails before a signature is looked at: model, what else its ModelSpec says, code, text.
UNCHOSEN: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no name": ("", {}, INVALID, "ModelSpec has no name specified."),
    "label": ("odd", {"label": "l"}, INVALID, "Unrecognized servable version label: l"),
    "model": ("none", {}, NOT_FOUND, NO_VERSION + "Latest(none)"),
    "version": ("odd", {"version": 9}, NOT_FOUND, NO_VERSION + "Specific(odd, 9)"),
}


@pytest.mark.parametrize("case", UNCHOSEN)
def test_the_model_is_looked_for_first(models: Served, case: str) -> None:
    model, spec, code, text = UNCHOSEN[case]
    stub, sent = models.api.prediction, input_pb2.Input()
    for call in (
        lambda: stub.Classify(classification(model, "none", sent, **spec)),
        lambda: stub.Regress(regression(model, "none", sent, **spec)),
    ):
        assert refusal(call) == (code, text)


def test_a_request_without_model_spec(models: Served) -> None:
    stub = models.api.prediction
    for call in (
        lambda: stub.Classify(classification_pb2.ClassificationRequest(input=rows(2))),
        lambda: stub.Regress(regression_pb2.RegressionRequest(input=rows(2))),
    ):
        assert refusal(call) == (INVALID, "Missing ModelSpec")


# The signature of the model odd, and the beginning of the text.
CLASSIFY_REFUSED = {
    "none": "No signature was found with the name: none",
    "": "No signature was found with the name: serving_default",
    "two_inputs": "Expected one input Tensor.",
    "three": "Expected one or two output Tensors, found 3",
    "other_input": 'No classification inputs found in SignatureDef: inputs {\n  key: "x"\n',
    "neither": "Expected classification signature outputs to contain at least one of "
    '"classes" or "scores". Signature was: inputs {\n  key: "inputs"\n',
    "flat_labels": "Expected Tensor shape: [batch_size num_classes] but got [2]",
    "flat_scores": "Expected Tensor shape: [batch_size num_classes] but got [2]",
    "number_labels": "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    "double_scores": "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    "one_row_of_labels": "Expected classes output batch size of 2. Got: 1",
    "one_row_of_scores": "Expected scores output batch size of 2. Got: 1",
    "one_label_two_scores": "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
}


def test_a_signature_is_quoted_in_order(models: Served) -> None:
    request = classification("odd", "neither_of_two", rows(2))
    _, text = refusal(lambda: models.api.prediction.Classify(request))
    assert text.index('key: "a"') < text.index('key: "z"')


@pytest.mark.parametrize("signature", CLASSIFY_REFUSED)
def test_classify_refuses(models: Served, signature: str) -> None:
    request = classification("odd", signature, rows(2, 4))
    code, text = refusal(lambda: models.api.prediction.Classify(request))
    assert (code, text[: len(CLASSIFY_REFUSED[signature])]) == (
        INVALID,
        CLASSIFY_REFUSED[signature],
    )


SHAPES = "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
REGRESS_REFUSED = {
    "none": "No signature was found with the name: none",
    "two_inputs": "Expected one input Tensor.",
    "labels_and_scores": "Expected one output Tensor.",
    "other_input": 'No regression inputs found in SignatureDef: inputs {\n  key: "x"\n',
    "neither": 'No regression outputs found in SignatureDef: inputs {\n  key: "inputs"\n',
    "wide": SHAPES + "[2,2]",
    "deep": SHAPES + "[2,1,1]",
    "scalar": SHAPES + "[]",
    "text": SHAPES + "[]",
    "one_row": "Input batch size did not match output batch size: 2 vs. 1",
    "whole": "Expected output Tensor of DT_FLOAT.  Got: DT_INT64",
}


@pytest.mark.parametrize("signature", REGRESS_REFUSED)
def test_regress_refuses(models: Served, signature: str) -> None:
    request = regression("odd", signature, rows(2, 4))
    code, text = refusal(lambda: models.api.prediction.Regress(request))
    assert (code, text[: len(REGRESS_REFUSED[signature])]) == (INVALID, REGRESS_REFUSED[signature])


@pytest.mark.parametrize(
    "sent", [input_pb2.Input(), examples(), examples(context=example(x=2.0))], ids=repr
)
def test_no_examples(models: Served, sent: Any) -> None:
    stub = models.api.prediction
    for call in (
        lambda: stub.Classify(classification("half_plus_two", "classify_x_to_y", sent)),
        lambda: stub.Regress(regression("half_plus_two", "regress_x_to_y", sent)),
    ):
        assert refusal(call) == (INVALID, EMPTY)
    # The signature comes first.
    call = lambda: stub.Regress(regression("odd", "two_inputs", sent))  # noqa: E731
    assert refusal(call) == (INVALID, "Expected one input Tensor.")


def test_an_input_that_takes_no_examples(models: Served) -> None:
    text = "Expects arg[0] to be float but string is provided"
    stub = models.api.prediction
    for call in (
        lambda: stub.Classify(classification("half_plus_two", "classify_x2_to_y3", rows(2))),
        lambda: stub.Regress(regression("half_plus_two", "regress_x2_to_y3", rows(2))),
    ):
        assert refusal(call) == (INVALID, text)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (examples(example(x2=1.0)), "Feature: x (data type: float) is required but could not be"),
        (examples(example(x=b"2")), "Data type: string but expected type: float"),
    ],
    ids=["missing", "of another type"],
)
def test_examples_that_the_graph_cannot_parse(models: Served, sent: Any, text: str) -> None:
    request = regression("half_plus_two", "regress_x_to_y", sent)
    code, told = refusal(lambda: models.api.prediction.Regress(request))
    assert code == INVALID
    assert text in told


CALLS: dict[str, Callable[[Any, float], Any]] = {
    "Classify": lambda stub, seconds: stub.Classify(
        classification("modern", "endless", rows(2)), timeout=seconds
    ),
    "Regress": lambda stub, seconds: stub.Regress(
        regression("modern", "forever", rows(2)), timeout=seconds
    ),
    "MultiInference": lambda stub, seconds: stub.MultiInference(
        multi_inference([task(CLASSIFY, "endless", "modern")], rows(2)), timeout=seconds
    ),
}


@pytest.mark.parametrize("method", CALLS)
def test_a_deadline_ends_the_run(models: Served, method: str) -> None:
    code, _ = refusal(lambda: CALLS[method](models.api.prediction, 0.5))
    assert code == "DEADLINE_EXCEEDED"
    until(lambda: models.manager.in_use() == 0, "the run is over")


def log(**entries: Any) -> Any:
    """A PredictionLog with one request."""
    ((kind, request),) = entries.items()
    entry = prediction_log_pb2.PredictionLog()
    getattr(entry, kind).request.CopyFrom(request)
    return entry


FINE = [
    log(classify_log=classification("any", "classify_x_to_y", rows(2))),
    log(regress_log=regression("any", "regress_x_to_y", rows(2))),
    log(multi_inference_log=multi_inference([task(CLASSIFY, "classify_x_to_y")], rows(2))),
]
WARMUPS: dict[str, tuple[list[Any], str]] = {
    "fine": (FINE, ""),
    "classify": (
        [*FINE, log(classify_log=classification("any", "none", rows(2)))],
        "No signature was found with the name: none",
    ),
    "regress": ([log(regress_log=regression("any", "regress_x_to_y", examples()))], EMPTY),
    "multi_inference": (
        [log(multi_inference_log=multi_inference([task(CLASSIFY, "none")], rows(2)))],
        "Requested signature not found in model graph: none",
    ),
}


@pytest.mark.parametrize("case", WARMUPS)
def test_warm_up(tmp_path: Path, case: str) -> None:
    logs, text = WARMUPS[case]
    save_half_plus_two(tmp_path / "saved")
    helpers.write_warmup(tmp_path / "saved", logs)
    (tmp_path / "m").mkdir()
    shutil.move(tmp_path / "saved", tmp_path / "m" / "1")
    with helpers.running(ModelConfig("m", str(tmp_path / "m"))) as (_, manager, _poller):
        helpers.settled(manager, "m", {1: "END" if text else "AVAILABLE"})
        _, error = manager.statuses("m")[1]
        assert (error.text if error else "") == text


@st.composite
def some_examples(draw: st.DrawFn) -> Any:
    made = example_pb2.Example()
    for name in draw(st.lists(st.sampled_from("abc"), max_size=3)):
        feature = made.features.feature[name]
        feature.bytes_list.value.extend(draw(st.lists(st.binary(max_size=3), max_size=3)))
    return made


@settings(max_examples=100, deadline=None)
@given(st.lists(some_examples(), min_size=1, max_size=4), st.none() | some_examples())
def test_serialized_examples_read_back_as_they_were(made: list[Any], context: Any) -> None:
    array = serialized(examples(*made, context=context))
    assert array.shape == (len(made),)
    for expected, data in zip(made, array, strict=True):
        merged = example_pb2.Example()
        if context is not None:
            merged.MergeFrom(context)
        merged.MergeFrom(expected)
        assert example_pb2.Example.FromString(data) == merged
