"""SavedModels for Classify, Regress and MultiInference, and a server that has them."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    regression_pb2,
)

from server.model_server.config import ModelConfig
from tests.server.model_server import helpers

v1 = tf.compat.v1

PREDICT = tf.saved_model.PREDICT_METHOD_NAME
CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME
VERSION = 123

Tensors = Mapping[str, Any]
Signatures = Mapping[str, tuple[Tensors, Tensors, str]]
"""By name: inputs, outputs, method_name."""


def save_half_plus_two(folder: Path) -> None:
    """The classic of TensorFlow Serving: y = x / 2 + 2, y2 = x / 2 + 3, y3 = x2 / 2 + 3.

    x and x2 are features of serialized examples, x2 optional; some signatures take the tensor x2
    instead. Variables, so that there is something to restore.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        serialized, x, x2 = _parsed_examples()
        a, b, c = (
            v1.Variable(value, use_resource=True, name=name)
            for name, value in {"a": 0.5, "b": 2.0, "c": 3.0}.items()
        )
        y, y2, y3 = tf.add(a * x, b, "y"), tf.add(a * x, c, "y2"), tf.add(a * x2, c, "y3")
        examples = {"inputs": serialized}
        signatures = {
            "serving_default": ({"x": x}, {"y": y}, PREDICT),
            "regress_x_to_y": (examples, {"outputs": y}, REGRESS),
            "regress_x_to_y2": (examples, {"outputs": y2}, REGRESS),
            "regress_x2_to_y3": ({"inputs": x2}, {"outputs": y3}, REGRESS),
            "classify_x_to_y": (examples, {"scores": y}, CLASSIFY),
            "classify_x2_to_y3": ({"inputs": x2}, {"scores": y3}, CLASSIFY),
        }
        _save(folder, session, signatures)


def save_odd(folder: Path) -> None:
    """Signatures that classify or regress in other ways, right ones and wrong ones."""
    with tf.Graph().as_default(), v1.Session() as session:
        serialized, x, _ = _parsed_examples()
        flat = tf.squeeze(x, 1)
        pairs = tf.concat([x, -x], 1)
        names = tf.strings.as_string(pairs, precision=1)
        raw = tf.fill(tf.shape(x), tf.constant(b"\xff\0"))
        counter = v1.Variable(0.0, use_resource=True, name="counter")
        with tf.control_dependencies([counter.assign_add(1.0)]):
            count = tf.fill(tf.shape(flat), counter.read_value())
        outputs = {
            "labels": {"classes": names},
            "labels_and_scores": {"classes": names, "scores": pairs},
            "scores_and_more": {"scores": pairs, "more": x},
            "no_classes_of": {"scores": pairs[:, :0]},
            "raw_labels": {"classes": raw, "scores": x},
            "three": {"classes": names, "scores": pairs, "more": x},
            "neither": {"y": x},
            "neither_of_two": {"z": x, "a": x},
            "flat_labels": {"classes": names[:, 0]},
            "flat_scores": {"scores": flat},
            "number_labels": {"classes": pairs},
            "double_scores": {"scores": tf.cast(pairs, tf.float64)},
            "one_row_of_labels": {"classes": names[:1]},
            "one_row_of_scores": {"scores": pairs[:1]},
            "one_label_two_scores": {"classes": raw, "scores": pairs},
            "flat": {"outputs": flat},
            "wide": {"outputs": pairs},
            "deep": {"outputs": x[:, tf.newaxis]},
            "scalar": {"outputs": tf.reduce_sum(x)},
            "one_row": {"outputs": x[:1]},
            "whole": {"outputs": tf.cast(flat, tf.int64)},
            "text": {"outputs": tf.constant("text")},
            "count": {"outputs": count},
            "twice_count": {"outputs": count * 2},
        }
        signatures = {
            name: ({"inputs": serialized}, tensors, PREDICT) for name, tensors in outputs.items()
        }
        signatures["two_inputs"] = ({"inputs": serialized, "x": x}, {"outputs": x}, REGRESS)
        signatures["other_input"] = ({"x": serialized}, {"outputs": x}, REGRESS)
        _save(folder, session, signatures)


def save_modern(folder: Path) -> None:
    """TensorFlow 2's own signatures, all of whose method names say predict.

    serving_default and regress read the feature x, float32 [N, 1]; forever, a regression, and
    endless, a classification, run until their deadline.
    """

    class Modern(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def classify(self, inputs: Any) -> Any:
            x = self._x(inputs)
            return {"classes": tf.strings.as_string(x, precision=2), "scores": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def regress(self, inputs: Any) -> Any:
            return {"outputs": self._x(inputs) * 2.0}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def forever(self, inputs: Any) -> Any:
            def missing(i: Any) -> Any:
                # The name depends on i, so that the optimiser can't look just once.
                name = tf.strings.join(["/nonexistent/", tf.strings.as_string(i % 1)])
                return tf.equal(tf.size(tf.io.matching_files(name)), 0)

            looks = tf.while_loop(missing, lambda i: (i + 1,), [tf.constant(1)])[0]
            return {"outputs": tf.fill([tf.size(inputs), 1], tf.cast(looks, tf.float32))}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def endless(self, inputs: Any) -> Any:
            return {"scores": self.forever(inputs)["outputs"]}

        def _x(self, inputs: Any) -> Any:
            features = {"x": tf.io.FixedLenFeature([1], tf.float32)}
            return tf.io.parse_example(inputs, features)["x"]

    module = Modern()
    signatures = {
        "serving_default": module.classify,
        "regress": module.regress,
        "forever": module.forever,
        "endless": module.endless,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _parsed_examples() -> tuple[Any, Any, Any]:
    serialized = v1.placeholder(tf.string, name="tf_example")
    features = {
        "x": tf.io.FixedLenFeature([1], tf.float32),
        "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    }
    parsed = v1.parse_example(serialized, features)
    return serialized, tf.identity(parsed["x"], "x"), tf.identity(parsed["x2"], "x2")


def _save(folder: Path, session: Any, signatures: Signatures) -> None:
    session.run(v1.global_variables_initializer())
    info = v1.saved_model.build_tensor_info
    definitions = {
        name: v1.saved_model.build_signature_def(
            {alias: info(tensor) for alias, tensor in inputs.items()},
            {alias: info(tensor) for alias, tensor in outputs.items()},
            method,
        )
        for name, (inputs, outputs, method) in signatures.items()
    }
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(session, ["serve"], definitions)
    builder.save()


@contextmanager
def serving(root: Path) -> Iterator[helpers.Served]:
    """REST and gRPC with the models half_plus_two, odd and modern, all of VERSION."""
    saves = {"half_plus_two": save_half_plus_two, "odd": save_odd, "modern": save_modern}
    for name, save in saves.items():
        # Written beside its place, though nothing looks before all are there.
        save(root / f"{name}-saved")
        (root / name).mkdir()
        shutil.move(root / f"{name}-saved", root / name / f"{VERSION:08}")
    models = [ModelConfig(name, str(root / name)) for name in saves]
    with helpers.running(*models) as (stubs, manager, _):
        for name in saves:
            helpers.settled(manager, name, {VERSION: "AVAILABLE"})
        with helpers.rest_running(manager) as server:
            yield helpers.Served(stubs, manager, server.port)


def example(**features: float | bytes) -> Any:
    """A tf.Example with one value for each feature."""
    made = example_pb2.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    return made


def examples(*made: Any, context: Any = None) -> Any:
    """The Input with these examples."""
    if context is None:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=made))
    with_context = input_pb2.ExampleListWithContext(examples=made, context=context)
    return input_pb2.Input(example_list_with_context=with_context)


def rows(*values: float) -> Any:
    """The Input with an example for each value of the feature x."""
    return examples(*(example(x=value) for value in values))


def classification(model: str, signature: str, sent: Any, **spec: Any) -> Any:
    """A ClassificationRequest; `spec` as in `specify`."""
    request = classification_pb2.ClassificationRequest(input=sent)
    return specify(request, model, signature, **spec)


def regression(model: str, signature: str, sent: Any, **spec: Any) -> Any:
    """A RegressionRequest; `spec` as in `specify`."""
    request = regression_pb2.RegressionRequest(input=sent)
    return specify(request, model, signature, **spec)


def task(method: str, signature: str, model: str = "half_plus_two", **spec: Any) -> Any:
    """One task of a MultiInferenceRequest; `spec` as in `specify`."""
    return specify(inference_pb2.InferenceTask(method_name=method), model, signature, **spec)


def multi_inference(tasks: Sequence[Any], sent: Any) -> Any:
    """A MultiInferenceRequest."""
    return inference_pb2.MultiInferenceRequest(tasks=tasks, input=sent)


def specify(
    request: Any, model: str, signature: str, version: int | None = None, label: str = ""
) -> Any:
    """The request, with its model_spec filled in."""
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    return request
