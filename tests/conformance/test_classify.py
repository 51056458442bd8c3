"""Classify and Regress: which signatures fit, how examples arrive, what comes back."""

import base64
from typing import Any

import pytest

from tests.conformance.api import Api, classify_request, example, predict_request, regress_request
from tests.conformance.cases import (
    INVALID,
    NOT_FOUND,
    Case,
    agree,
    begins,
    table,
)

pytestmark = pytest.mark.integration

TWO, FIVE = example(x=2.0), example(x=5.0)


def classify(signature: str, *examples: Any, model: str = "examples", **more: Any) -> Any:
    return classify_request(model, *(examples or (TWO,)), signature=signature, **more)


def regress(signature: str, *examples: Any, model: str = "examples", **more: Any) -> Any:
    return regress_request(model, *(examples or (TWO,)), signature=signature, **more)


Classes = list[list[tuple[str, float]]]


def classes(response: Any) -> Classes:
    return [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]


def values(response: Any) -> list[float]:
    return [regression.value for regression in response.result.regressions]


def gives_classes(*expected: list[tuple[str, float]]) -> Any:
    def check(response: Any) -> None:
        assert classes(response) == list(expected)

    return check


def gives_values(*expected: float) -> Any:
    def check(response: Any) -> None:
        assert values(response) == list(expected)

    return check


ANSWERED = [
    Case("classes and scores", classify("both"),
         check=gives_classes([("up", 2.0), ("down", -2.0)])),
    Case("two examples", classify("both", TWO, FIVE),
         check=gives_classes([("up", 2.0), ("down", -2.0)], [("up", 5.0), ("down", -5.0)])),
    Case("classes alone have score 0", classify("classes_only"),
         check=gives_classes([("up", 0.0), ("down", 0.0)])),
    Case("scores alone have no label", classify("scores_only"),
         check=gives_classes([("", 2.0), ("", -2.0)])),
    Case("classify by a predict signature", classify("both_by_predict"),
         check=gives_classes([("up", 2.0), ("down", -2.0)])),
    Case("regress of rank 1", regress("flat", TWO, FIVE), check=gives_values(2.0, 5.0)),
    Case("regress of one column", regress("column", TWO, FIVE), check=gives_values(2.0, 5.0)),
    Case("regress by a predict signature", regress("column_by_predict"), check=gives_values(2.0)),
    Case("half_plus_two classify", classify("classify_x_to_y", model="half_plus_two"),
         check=gives_classes([("", 3.0)])),
    Case("half_plus_two regress", regress("regress_x_to_y", model="half_plus_two"),
         check=gives_values(3.0)),
    Case("half_plus_two regress y2", regress("regress_x_to_y2", model="half_plus_two"),
         check=gives_values(4.0)),
    Case("classify with a context", classify("both", example(), context=TWO),
         check=gives_classes([("up", 2.0), ("down", -2.0)])),
    Case("an example's own feature beats the context's", classify("both", FIVE, context=TWO),
         check=gives_classes([("up", 5.0), ("down", -5.0)])),
    Case("regress with a context", regress("flat", FIVE, example(), context=TWO),
         check=gives_values(5.0, 2.0)),
]  # fmt: skip

EMPTY = "Input is empty."
UNKNOWN = "No signature was found with the name: "
SHAPE = "Expected Tensor shape: [batch_size num_classes] but got "

REFUSED = [
    Case("classify, unknown signature", classify("s"), INVALID, UNKNOWN + "s"),
    Case("regress, unknown signature", regress("s"), INVALID, UNKNOWN + "s"),
    Case("classify, no serving_default", classify(""), INVALID, UNKNOWN + "serving_default"),
    Case("regress, no serving_default", regress(""), INVALID, UNKNOWN + "serving_default"),
    Case("classify, no example", classify_request("examples", signature="both"), INVALID, EMPTY),
    Case("regress, no example", regress_request("examples", signature="flat"), INVALID, EMPTY),
    Case("classify, only a context",
         classify_request("examples", signature="both", context=TWO), INVALID, EMPTY),
    Case("classify, two inputs", classify("two_inputs"), INVALID, "Expected one input Tensor."),
    Case("regress, two inputs", regress("two_regress_inputs"), INVALID,
         "Expected one input Tensor."),
    Case("classify, three outputs", classify("three_outputs"), INVALID,
         "Expected one or two output Tensors, found 3"),
    Case("regress, two outputs", regress("two_outputs"), INVALID, "Expected one output Tensor."),
    Case("classify, input of another name", classify("no_inputs"), INVALID,
         begins("No classification inputs found in SignatureDef: ")),
    Case("regress, input of another name", regress("no_regress_inputs"), INVALID,
         begins("No regression inputs found in SignatureDef: ")),
    Case("regress, output of another name", regress("misnamed"), INVALID,
         begins("No regression outputs found in SignatureDef: ")),
    Case("classify, outputs of other names", classify("neither"), INVALID,
         begins("Expected classification signature outputs to contain at least one of "
                '"classes" or "scores". Signature was: ')),
    Case("classify, scores of rank 1", classify("scores_of_rank_1"), INVALID, SHAPE + "[1]"),
    Case("classify, scores of double", classify("scores_of_double"), INVALID,
         "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
    Case("classify, classes of float", classify("classes_of_float"), INVALID,
         "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
    Case("classify, too few rows", classify("scores_of_one_row", TWO, FIVE), INVALID,
         "Expected scores output batch size of 2. Got: 1"),
    Case("regress, two columns", regress("two_columns"), INVALID,
         "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
         "but got [1,2]"),
    Case("regress, double", regress("regress_of_double"), INVALID,
         "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    Case("regress, too few rows", regress("regress_of_one_row", TWO, FIVE), INVALID,
         "Input batch size did not match output batch size: 2 vs. 1"),
    Case("regress of a feature, no example", regress("regress_x2_to_y3", model="half_plus_two"),
         INVALID, "Expects arg[0] to be float but string is provided"),
    Case("model before signature", classify("s", model="none"), NOT_FOUND,
         "Servable not found for request: Latest(none)"),
    Case("signature before input", classify_request("examples", signature="s"), INVALID,
         UNKNOWN + "s"),
    Case("classify by a regress signature", classify("flat"), INVALID,
         begins("Expected classification signature outputs to contain at least one of ")),
    Case("regress by a classify signature", regress("both"), INVALID,
         "Expected one output Tensor."),
]  # fmt: skip


@table(ANSWERED)
def test_answered(api: Api, row: Case) -> None:
    row.hold(api)


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


def test_examples_arrive_as_their_bytes(api: Api) -> None:
    """The context's bytes stand before each example's, unparsed."""
    context = example(c=[1, 2])
    answer = api.ask(classify("seen", TWO, FIVE, context=context))
    got = [base64.urlsafe_b64decode(label) for ((label, _),) in classes(answer.message)]
    parts = [(context.SerializeToString(), e.SerializeToString()) for e in (TWO, FIVE)]
    assert got == [first + second for first, second in parts]


@pytest.mark.parametrize("request_", [classify("both"), regress("flat")], ids=["C", "R"])
def test_model_spec_of_the_answer(api: Api, request_: Any) -> None:
    spec = api.ask(request_).message.model_spec
    assert (spec.name, spec.version.value) == ("examples", 1)
    assert spec.signature_name == request_.model_spec.signature_name


def test_the_same_signatures_by_predict(api: Api) -> None:
    """Classify's and Regress's signatures are Predict's, too, whatever their method_name."""
    serialized = [TWO.SerializeToString(), FIVE.SerializeToString()]
    request = predict_request("examples", spec={"signature": "flat"}, inputs=serialized)
    answer = api.ask(request)
    agree(answer, "OK", "")
    assert list(answer.message.outputs["outputs"].float_val) == [2.0, 5.0]
