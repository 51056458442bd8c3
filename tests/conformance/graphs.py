"""The graphs of the suite's models. Each function builds one in the default graph and returns its
signatures; its docstring says what they compute, with shapes and dtypes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

v1 = tf.compat.v1

DTYPES = (
    tf.float32, tf.float64, tf.float16, tf.bfloat16,
    tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64,
    tf.bool, tf.string, tf.complex64, tf.complex128,
)  # fmt: skip

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{m}" for m in ("predict", "classify", "regress"))

Signatures = Mapping[str, Any]


def signature(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    method: str = PREDICT,
    defaults: Mapping[str, Any] | None = None,
) -> Any:
    made = meta_graph_pb2.SignatureDef(method_name=method)
    for infos, tensors in ((made.inputs, inputs), (made.outputs, outputs)):
        for alias, tensor in tensors.items():
            infos[alias].name = tensor.name
            infos[alias].dtype = tensor.dtype.as_datatype_enum
            infos[alias].tensor_shape.CopyFrom(tensor.shape.as_proto())
    for alias, value in (defaults or {}).items():
        made.defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    return made


def half_plus_two(_assets: Path) -> Signatures:
    """y = x / 2 + 2, y2 = x / 2 + 3, y3 = x2 / 2 + 3 of the features x, x2 float32 [1] of
    serialized Examples [N]; served by x itself, float32 [N, 1], and by classify and regress.
    """
    half, two, three = (tf.Variable(value) for value in (0.5, 2.0, 3.0))
    serialized = v1.placeholder(tf.string, [None], "tf_example")
    features = v1.parse_example(
        serialized,
        {
            "x": v1.FixedLenFeature([1], tf.float32),
            "x2": v1.FixedLenFeature([1], tf.float32, [0.0]),
        },
    )
    x = tf.identity(features["x"], "x")
    x2 = tf.identity(features["x2"], "x2")
    y = tf.identity(half * x + two, "y")
    y2 = tf.identity(half * x + three, "y2")
    y3 = tf.identity(half * x2 + three, "y3")
    return {
        "serving_default": signature({"x": x}, {"y": y}),
        "regress_x_to_y": signature({"inputs": serialized}, {"outputs": y}, REGRESS),
        "regress_x_to_y2": signature({"inputs": serialized}, {"outputs": y2}, REGRESS),
        "regress_x2_to_y3": signature({"inputs": x2}, {"outputs": y3}, REGRESS),
        "classify_x_to_y": signature({"inputs": serialized}, {"scores": y}, CLASSIFY),
    }


def numbers(_assets: Path) -> Signatures:
    """float32 throughout: x [N, 4] → y = 2 x; `pair`: a, b [N, 4] → sum, difference; `product`:
    x [N, K] → y = x · ones [4, 2]; `wait`: path, a string scalar → looks, once there is a file of
    that name + "0".
    """
    x = v1.placeholder(tf.float32, [None, 4], "x")
    a = v1.placeholder(tf.float32, [None, 4], "a")
    b = v1.placeholder(tf.float32, [None, 4], "b")
    left = v1.placeholder(tf.float32, [None, None], "left")
    path = v1.placeholder(tf.string, [], "path")
    return {
        "serving_default": signature({"x": x}, {"y": tf.identity(2.0 * x, "y")}),
        "pair": signature({"a": a, "b": b}, {"sum": a + b, "difference": a - b}),
        "product": signature({"x": left}, {"y": left @ tf.ones([4, 2])}),
        "wait": signature({"path": path}, {"looks": wait_for(path)}),
    }


def wait_for(path: Any) -> Any:
    """How often it took to see a file called path + "0", int32 scalar. It keeps a thread busy."""

    def missing(i: Any) -> Any:
        # The name depends on i, so that the optimiser can't look just once.
        name = tf.strings.join([path, tf.strings.as_string(i % 1)])
        return tf.equal(tf.size(tf.io.matching_files(name)), 0)

    return tf.while_loop(missing, lambda i: (i + 1,), [tf.constant(1)])[0]


def images(_assets: Path) -> Signatures:
    """images uint8 [N, 8, 8, 3] → probabilities float32 [N, 2], behind a convolution."""
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 2)).astype(np.float32)
    pixels = v1.placeholder(tf.uint8, [None, 8, 8, 3], "images")
    maps = tf.nn.conv2d(tf.cast(pixels, tf.float32) / 255.0, kernel, 1, "SAME")
    probabilities = tf.nn.softmax(tf.reduce_mean(maps, [1, 2]), name="probabilities")
    return {"serving_default": signature({"images": pixels}, {"probabilities": probabilities})}


def texts(_assets: Path) -> Signatures:
    """text string [N] → text, text_bytes and length int32 [N]; `mixed`: text string, flag bool,
    number int64 [N] → the same back; `uneven`: x float32 [N] → all [N], one [1]; `whole`: x → its
    sum, a scalar; `rooted`: x → its square roots, NaN below 0; `halved`, `coded`: x as float16, as
    uint16.
    """
    text = v1.placeholder(tf.string, [None], "text")
    words_ = v1.placeholder(tf.string, [None], "words")
    flag = v1.placeholder(tf.bool, [None], "flag")
    number = v1.placeholder(tf.int64, [None], "number")
    x = v1.placeholder(tf.float32, [None], "x")
    same = tf.identity
    return {
        "serving_default": signature(
            {"text": text},
            {"text": same(text), "text_bytes": same(text), "length": tf.strings.length(text)},
        ),
        "mixed": signature(
            {"text": words_, "flag": flag, "number": number},
            {"text": same(words_), "flag": same(flag), "number": same(number)},
        ),
        "uneven": signature({"x": x}, {"all": same(x), "one": x[:1]}),
        "whole": signature({"x": x}, {"sum": tf.reduce_sum(x)}),
        "rooted": signature({"x": x}, {"y": tf.sqrt(x)}),
        "halved": signature({"x": x}, {"y": tf.cast(x, tf.float16)}),
        "coded": signature({"x": x}, {"y": tf.cast(x, tf.uint16)}),
    }


def words(assets: Path) -> Signatures:
    """word string [N] → index int64 [N] in a vocabulary that is an asset: zero, one, two."""
    (assets / "vocabulary.txt").write_text("zero\none\ntwo\n")
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, tf.constant(str(assets / "vocabulary.txt")))
    file = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)[0]
    initializer = tf.lookup.TextFileInitializer(
        file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    table = tf.lookup.StaticHashTable(initializer, -1)
    word = v1.placeholder(tf.string, [None], "word")
    return {"serving_default": signature({"word": word}, {"index": table.lookup(word)})}


def dtypes(_assets: Path) -> Signatures:
    """A signature for each of DTYPES, called as the dtype: x of any shape → y = x."""
    made = {}
    for dtype in DTYPES:
        x = v1.placeholder(dtype, None, f"{dtype.name}_x")
        made[dtype.name] = signature({"x": x}, {"y": tf.identity(x)})
    return made


def defaults(_assets: Path) -> Signatures:
    """x float32 [N, 2], bias float32 [2], by default [10, 20] → y = x + bias."""
    x = v1.placeholder(tf.float32, [None, 2], "x")
    bias = v1.placeholder(tf.float32, [2], "bias")
    default = {"bias": np.array([10, 20], np.float32)}
    return {"serving_default": signature({"x": x, "bias": bias}, {"y": x + bias}, PREDICT, default)}


def scaled(factor: float) -> Callable[[Path], Signatures]:
    """x float32 [N] → y = x × factor; `classify`, `regress`: the same of the serialized Examples'
    feature x float32 [1]; `wait` as in `numbers`.
    """

    def build(_assets: Path) -> Signatures:
        scale = tf.Variable(float(factor))
        x = v1.placeholder(tf.float32, [None], "x")
        path = v1.placeholder(tf.string, [], "path")
        serialized = v1.placeholder(tf.string, [None], "examples")
        features = v1.parse_example(serialized, {"x": v1.FixedLenFeature([1], tf.float32)})
        score = features["x"] * scale
        return {
            "serving_default": signature({"x": x}, {"y": x * scale}),
            "wait": signature({"path": path}, {"looks": wait_for(path)}),
            "classify": signature({"inputs": serialized}, {"scores": score}, CLASSIFY),
            "regress": signature({"inputs": serialized}, {"outputs": score}, REGRESS),
        }

    return build


def examples(_assets: Path) -> Signatures:
    """Serialized Examples [N] with a feature x float32 [1]; scores [N, 2] are x and -x, classes
    [N, 2] are `up` and `down`, the rest is in the signatures' names. `seen` gives the bytes of each
    example as base64.
    """
    serialized = v1.placeholder(tf.string, [None], "examples")
    other = v1.placeholder(tf.string, [None], "other")
    features = v1.parse_example(serialized, {"x": v1.FixedLenFeature([1], tf.float32, [0.0])})
    x = features["x"]
    rows = tf.shape(x)[0]
    scores = tf.concat([x, -x], 1)
    classes = tf.tile([["up", "down"]], [rows, 1])
    seen = tf.expand_dims(tf.io.encode_base64(serialized, pad=True), 1)
    inputs = {"inputs": serialized}
    both = {"classes": classes, "scores": scores}
    made = {
        name: signature(inputs, outputs, method)
        for method, group in {
            CLASSIFY: {
                "both": both,
                "classes_only": {"classes": classes},
                "scores_only": {"scores": scores},
                "seen": {"classes": seen},
                "three_outputs": {**both, "more": scores},
                "neither": {"probabilities": scores},
                "scores_of_rank_1": {"scores": x[:, 0]},
                "scores_of_double": {"scores": tf.cast(scores, tf.float64)},
                "classes_of_float": {"classes": tf.identity(scores)},
                "scores_of_one_row": {"scores": scores[:1]},
            },
            REGRESS: {
                "flat": {"outputs": x[:, 0]},
                "column": {"outputs": tf.identity(x)},
                "two_outputs": {"outputs": tf.identity(x), "more": x},
                "misnamed": {"y": tf.identity(x)},
                "two_columns": {"outputs": tf.identity(scores)},
                "regress_of_double": {"outputs": tf.cast(x[:, 0], tf.float64)},
                "regress_of_one_row": {"outputs": x[:1, 0]},
            },
            PREDICT: {
                "both_by_predict": both,
                "column_by_predict": {"outputs": tf.identity(x)},
            },
        }.items()
        for name, outputs in group.items()
    }
    made["no_inputs"] = signature({"x": serialized}, {"scores": scores}, CLASSIFY)
    made["no_regress_inputs"] = signature({"x": serialized}, {"outputs": x}, REGRESS)
    made["two_inputs"] = signature({**inputs, "other": other}, {"scores": scores}, CLASSIFY)
    made["two_regress_inputs"] = signature({**inputs, "other": other}, {"outputs": x}, REGRESS)
    fed_too = v1.parse_example(other, {"x": v1.FixedLenFeature([1], tf.float32)})
    made["other_input"] = signature({"inputs": other}, {"outputs": 10.0 * fed_too["x"]}, REGRESS)
    return made


def batches(_assets: Path) -> Signatures:
    """For batching. x float32 [N, K] → y = 2 x and size [N], how many rows ran together; `pair`: a,
    b [N] → sum; `whole`: x → its sum, a scalar; `first`: x → its first row; `positive`: x → x, an
    error if any is negative; `wait`: path string [N] → looks int32 [N] at a file path + "0", of the
    first path.
    """
    x = v1.placeholder(tf.float32, [None, None], "x")
    a = v1.placeholder(tf.float32, [None], "a")
    b = v1.placeholder(tf.float32, [None], "b")
    path = v1.placeholder(tf.string, [None], "path")
    rows = tf.shape(x)[0]
    checked = tf.debugging.assert_non_negative(x, "not positive")
    with tf.control_dependencies([checked]):
        positive = tf.identity(x)
    return {
        "serving_default": signature({"x": x}, {"y": 2.0 * x, "size": tf.fill([rows], rows)}),
        "pair": signature({"a": a, "b": b}, {"sum": a + b}),
        "whole": signature({"x": x}, {"sum": tf.reduce_sum(x)}),
        "first": signature({"x": x}, {"y": x[:1]}),
        "positive": signature({"x": x}, {"y": positive}),
        "wait": signature({"path": path}, {"looks": tf.fill(tf.shape(path), wait_for(path[0]))}),
    }


def diary(_assets: Path) -> Signatures:
    """For warm-up: x int64 [N] → the number whose digits are the x of all runs so far, as `digits`
    int64 [N]; `read`: x → the same without adding x.
    """
    digits = tf.Variable(0, dtype=tf.int64)
    x = v1.placeholder(tf.int64, [None], "x")
    unread = v1.placeholder(tf.int64, [None], "unread")
    added = v1.assign(digits, digits * 10 + x[0])
    return {
        "serving_default": signature({"x": x}, {"digits": tf.fill(tf.shape(x), added)}),
        "read": signature({"x": unread}, {"digits": tf.fill(tf.shape(unread), digits + 0)}),
    }


def gated(factor: float) -> Callable[[Path], Signatures]:
    """As `scaled`, and `gate`: path string scalar → looks, after it has made the file path +
    ".begun" and until there is a file path + "0".
    """

    def build(assets: Path) -> Signatures:
        path = v1.placeholder(tf.string, [], "gate_path")
        begun = tf.io.write_file(tf.strings.join([path, ".begun"]), "")
        with tf.control_dependencies([begun]):
            waiting = tf.identity(path)
        gate = signature({"path": path}, {"looks": wait_for(waiting)})
        return {**scaled(factor)(assets), "gate": gate}

    return build
