"""MultiInference: several classifications and regressions of the same examples in one run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis import inference_pb2, model_pb2

from server.model_server import classify, regress
from server.model_server.errors import invalid_argument, unimplemented
from server.model_server.examples import Outputs, Tensors, run
from server.model_server.predict import DEFAULT_SIGNATURE, fill_model_spec
from server.model_server.servable import Servable


@dataclass(frozen=True)
class Kind:
    """A method that a task may ask for.

    Attributes:
        tensors: A signature, and whether its method_name counts → what to feed and to fetch.
        answer: InferenceResult, signature, what the run gave → None; writes the result.
    """

    tensors: Callable[[Any, bool], Tensors]
    answer: Callable[[Any, Any, Outputs], None]


def _classified(result: Any, signature: Any, outputs: Outputs) -> None:
    classify.fill(result.classification_result, classify.read(signature, outputs))


def _regressed(result: Any, signature: Any, outputs: Outputs) -> None:
    regress.fill(result.regression_result, regress.read(signature, outputs))


KINDS: Mapping[str, Kind] = {
    classify.METHOD: Kind(classify.tensors, _classified),
    regress.METHOD: Kind(regress.tensors, _regressed),
}
"""By the method_name of a task."""


def model_spec(request: Any) -> Any:
    """The ModelSpec that chooses the version: the first task's, empty if there is none."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def multi_inference(servable: Servable, request: Any, timeout_seconds: float | None = None) -> Any:
    """Answer a MultiInferenceRequest with one version of a model.

    Args:
        servable: The version that the first task names.
        request: The MultiInferenceRequest.
        timeout_seconds: What is left to the caller; None for ever.

    Returns:
        The MultiInferenceResponse, with a result for each task in their order.

    Raises:
        ServingError: The tasks don't fit together or to their signatures, there are no examples,
            or the run failed.
    """
    signatures, tensors = _checked(servable, request.tasks)
    outputs = run(servable, request.input, tensors, timeout_seconds)
    response = inference_pb2.MultiInferenceResponse()
    for task, signature in zip(request.tasks, signatures, strict=True):
        result = response.results.add()
        KINDS[task.method_name].answer(result, signature, outputs)
        fill_model_spec(result.model_spec, task.model_spec, servable.version)
    return response


def _checked(servable: Servable, tasks: Any) -> tuple[list[Any], Tensors]:
    """Each task's signature, and what to feed and to fetch for all of them."""
    signatures: dict[str, Any] = {}
    feeds: set[str] = set()
    fetches: set[str] = set()
    for task in tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in signatures:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        signatures[name] = servable.signatures[name]
        if task.method_name not in KINDS:
            raise unimplemented(f"Unsupported signature method_name: {task.method_name}")
        tensors = KINDS[task.method_name].tensors(signatures[name], servable.checks_methods)
        # Signatures of TensorFlow 2 have an input each.
        feeds.update(tensors.feeds)
        fetches.update(tensors.fetches)
    return list(signatures.values()), Tensors(sorted(feeds), sorted(fetches))
