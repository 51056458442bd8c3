"""TensorFlow 1: graphs and sessions, saved by its builder; what is in the graph itself.

Variables and tables are in `zoo_tf1_state`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.server.model_server.zoo_table import Call, Specimen, strings

v1 = tf.compat.v1

X = np.array([[1, -2, 3, 0.5], [0, 0, -1, 4]], np.float32)
"""The input [2, 4] of most specimens."""

WEIGHTS = np.array([[1, 2], [0, -1], [0.5, 0], [3, 1]], np.float32)


def signature(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    method: str = "tensorflow/serving/predict",
) -> Any:
    """A SignatureDef of tensors."""
    return v1.saved_model.build_signature_def(
        {alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in inputs.items()},
        {alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in outputs.items()},
        method,
    )


def save(
    folder: Path, build: Callable[[], Mapping[str, Any]], as_text: bool = False, **settings: Any
) -> None:
    """Build a graph, initialise its variables, and save it.

    Args:
        folder: Of the SavedModel.
        build: Adds to the default graph, gives the signatures by name.
        as_text: Write saved_model.pbtxt.
        settings: For `add_meta_graph_and_variables`; those that can be called are, in the graph.
    """
    builder = v1.saved_model.Builder(str(folder))
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        session.run(v1.global_variables_initializer())
        made = {name: value() if callable(value) else value for name, value in settings.items()}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, **made)
    builder.save(as_text)


def feed() -> Any:
    return v1.placeholder(tf.float32, [None, 4], name="x")


def write_frozen(folder: Path, as_text: bool = False) -> None:
    """Constants only, as `convert_variables_to_constants` leaves them."""

    def build() -> Mapping[str, Any]:
        x = feed()
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, tf.constant(WEIGHTS))})}

    save(folder, build, as_text)


def write_text(folder: Path) -> None:
    """saved_model.pbtxt instead of saved_model.pb."""
    write_frozen(folder, as_text=True)
    assert not (folder / "saved_model.pb").exists()


def write_big_constant(folder: Path) -> None:
    """6 MB in the graph: more than a gRPC message may have by default."""

    def build() -> Mapping[str, Any]:
        row = v1.placeholder(tf.int64, [None], name="row")
        table = tf.constant(_big_table())
        return {"serving_default": signature({"row": row}, {"value": tf.gather(table, row)})}

    save(folder, build)


def _big_table() -> np.ndarray:
    return np.arange(50_000 * 32, dtype=np.float32).reshape(50_000, 32)


@contextmanager
def old_control_flow() -> Iterator[None]:
    """While and cond as TensorFlow 1 wrote them: Enter, NextIteration, Switch, Merge."""
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            v1.enable_control_flow_v2()


def write_control_flow(folder: Path) -> None:
    """Doubles each row until its sum is over 100; `flip` negates all if the sum of all is > 0."""

    def build() -> Mapping[str, Any]:
        x = feed()

        def small(rows: Any) -> Any:
            return tf.reduce_sum(rows, 1, keepdims=True) < 100.0

        def double(rows: Any, steps: Any) -> Any:
            due = small(rows)
            return tf.where(due, rows * 2, rows), steps + tf.cast(due[:, 0], tf.int32)

        rows, steps = v1.while_loop(
            lambda rows, _: tf.reduce_any(small(rows)),
            double,
            [x, tf.zeros([tf.shape(x)[0]], tf.int32)],
        )
        flipped = v1.cond(tf.reduce_sum(x) > 0, lambda: -x, lambda: x * 1)
        kinds = {operation.type for operation in v1.get_default_graph().get_operations()}
        assert {"Enter", "Switch", "Merge"} <= kinds
        return {
            "serving_default": signature({"x": x}, {"rows": rows, "steps": steps}),
            "flip": signature({"x": x}, {"y": flipped}),
        }

    with old_control_flow():
        save(folder, build)


def _doubled(x: np.ndarray) -> Mapping[str, Any]:
    steps = np.ceil(np.log2(100 / x.sum(1))).astype(np.int32)
    return {"rows": x * np.exp2(steps[:, np.newaxis], dtype=np.float32), "steps": steps}


def write_default_input(folder: Path) -> None:
    """A placeholder with a default: in one signature it isn't an input, in the other it is."""

    def build() -> Mapping[str, Any]:
        x = feed()
        factor = v1.placeholder_with_default(np.float32(10), [], name="factor")
        y = x * factor
        return {
            "serving_default": signature({"x": x}, {"y": y}),
            "with_factor": signature({"x": x, "factor": factor}, {"y": y}),
        }

    save(folder, build)


def write_intermediate(folder: Path) -> None:
    """`from_hidden` feeds the result of an operation, whose own inputs nobody gives then."""

    def build() -> Mapping[str, Any]:
        x = feed()
        hidden = tf.nn.relu(x, name="hidden")
        y = tf.matmul(hidden, tf.constant(WEIGHTS))
        return {
            "serving_default": signature({"x": x}, {"y": y}),
            "from_hidden": signature({"hidden": hidden}, {"y": y}),
        }

    save(folder, build)


def write_scalar_outputs(folder: Path) -> None:
    """Outputs of [N], of no dimension, of a dtype each; one tensor under two names."""

    def build() -> Mapping[str, Any]:
        x = feed()
        count = tf.shape(x, out_type=tf.int64)[0]
        sums = tf.reduce_sum(x, 1)
        outputs = {
            "sums": sums,
            "again": sums,
            "mean": tf.reduce_mean(x),
            "count": count,
            "any": tf.reduce_any(x > 3.5),
            "text": tf.strings.join(["rows: ", tf.strings.as_string(count)]),
            "sign": tf.cast(tf.sign(x), tf.int8),
            "half": tf.cast(x, tf.bfloat16),
            "wave": tf.complex(x, -x),
        }
        return {"serving_default": signature({"x": x}, outputs)}

    save(folder, build)


def _scalars(x: np.ndarray) -> Mapping[str, Any]:
    return {
        "sums": x.sum(1),
        "again": x.sum(1),
        "mean": x.mean(),
        "count": np.int64(len(x)),
        "any": np.bool_((x > 3.5).any()),
        "text": np.array(b"rows: %d" % len(x), object),
        "sign": np.sign(x).astype(np.int8),
        "half": x.astype(tf.bfloat16.as_numpy_dtype),
        "wave": (x - 1j * x).astype(np.complex64),
    }


FEATURES = {"a": [1.0, 2.0], "b": [-3.0, 0.5]}


def write_examples(folder: Path) -> None:
    """Classify and Regress, the estimators' way: serialized tf.Examples are parsed in the graph."""

    def build() -> Mapping[str, Any]:
        serialized = v1.placeholder(tf.string, [None], name="input_example_tensor")
        specs = {
            "a": tf.io.FixedLenFeature([], tf.float32),
            "b": tf.io.FixedLenFeature([], tf.float32, default_value=7.0),
        }
        features = tf.io.parse_example(serialized, specs)
        score = features["a"] * 2 + features["b"]
        scores = tf.stack([score, -score], 1)
        names = tf.tile(tf.constant([[b"up", b"down"]]), [tf.shape(score)[0], 1])
        classes = {"classes": names, "scores": scores}
        inputs = {"inputs": serialized}
        return {
            "serving_default": signature(inputs, classes, "tensorflow/serving/classify"),
            "regression": signature(inputs, {"outputs": score}, "tensorflow/serving/regress"),
            "predict": signature({"examples": serialized}, {"score": score}),
        }

    save(folder, build)


def examples(*rows: Mapping[str, float]) -> np.ndarray:
    """Serialized tf.Examples [N] of float features."""
    return strings(
        *(
            tf.train.Example(
                features=tf.train.Features(
                    feature={
                        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                        for name, value in row.items()
                    }
                )
            ).SerializeToString()
            for row in rows
        )
    )


EXAMPLES = examples({"a": 1, "b": -3}, {"a": 2, "b": 0.5}, {"a": -1})
SCORE = np.array([-1, 4.5, 5], np.float32)


def write_tag_sets(folder: Path) -> None:
    """Two graphs in one SavedModel; that for `serve,gpu` asks for a GPU, and does without one
    (on TensorFlow Serving it wouldn't).
    """
    builder = v1.saved_model.Builder(str(folder))
    for tags, device, factor in ((["serve"], "/cpu:0", 2.0), (["serve", "gpu"], "/gpu:0", 5.0)):
        options = v1.ConfigProto(allow_soft_placement=True)
        with tf.Graph().as_default(), v1.Session(config=options) as session, tf.device(device):
            x = feed()
            y = x * v1.get_variable("v", initializer=np.float32(1), use_resource=True) * factor
            signatures = {"serving_default": signature({"x": x}, {"y": y})}
            if factor == 2.0:
                session.run(v1.global_variables_initializer())
                builder.add_meta_graph_and_variables(session, tags, signatures)
            else:
                builder.add_meta_graph(tags, signatures)
    builder.save()


def write_short_names(folder: Path) -> None:
    """Tensors by their operation's name alone, `x` for `x:0`: what hand-made signatures hold."""

    def build() -> Mapping[str, Any]:
        x = feed()
        made = signature({"x": x}, {"y": tf.multiply(x, 3.0, name="y")})
        made.inputs["x"].name, made.outputs["y"].name = "x", "y"
        return {"serving_default": made}

    save(folder, build)


PRODUCT = Call({"x": X}, {"y": X @ WEIGHTS})

SPECIMENS = (
    Specimen("tf1-frozen", write_frozen, (PRODUCT,)),
    Specimen("tf1-text", write_text, (PRODUCT,)),
    Specimen(
        "tf1-big-constant",
        write_big_constant,
        (Call({"row": np.array([49_999, 0])}, {"value": _big_table()[[49_999, 0]]}),),
    ),
    Specimen(
        "tf1-control-flow",
        write_control_flow,
        (
            Call({"x": X}, _doubled(X)),
            Call({"x": X}, {"y": -X}, "flip", row_wise=False),
            Call({"x": -X}, {"y": -X}, "flip", row_wise=False),
        ),
    ),
    Specimen(
        "tf1-default-input",
        write_default_input,
        (
            Call({"x": X}, {"y": X * 10}),
            Call({"x": X, "factor": np.float32(3)}, {"y": X * 3}, "with_factor", row_wise=False),
        ),
    ),
    Specimen(
        "tf1-intermediate",
        write_intermediate,
        (
            Call({"x": X}, {"y": np.maximum(X, 0) @ WEIGHTS}),
            Call({"hidden": X}, {"y": X @ WEIGHTS}, "from_hidden"),
        ),
    ),
    Specimen(
        "tf1-scalar-outputs",
        write_scalar_outputs,
        (Call({"x": X}, _scalars(X), row_wise=False),),
    ),
    Specimen(
        "tf1-examples",
        write_examples,
        (
            Call(
                {"inputs": EXAMPLES},
                {"classes": [[b"up", b"down"]] * 3, "scores": np.stack([SCORE, -SCORE], 1)},
            ),
            Call({"inputs": EXAMPLES}, {"outputs": SCORE}, "regression"),
            Call({"examples": EXAMPLES}, {"score": SCORE}, "predict"),
        ),
    ),
    Specimen("tf1-tags-serve", write_tag_sets, (Call({"x": X}, {"y": X * 2}),)),
    Specimen("tf1-tags-gpu", write_tag_sets, (Call({"x": X}, {"y": X * 5}),), "serve,gpu"),
    Specimen("tf1-short-names", write_short_names, (Call({"x": X}, {"y": X * 3}),)),
)
