"""TensorFlow 2: modules with functions, saved by `tf.saved_model.save`."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.server.model_server.helpers import add_defaults
from tests.server.model_server.zoo_table import Call, Specimen, strings
from tests.server.model_server.zoo_tf1 import PRODUCT, WEIGHTS, X

FEED = tf.TensorSpec([None, 4], tf.float32, name="x")


def save(
    folder: Path,
    functions: dict[str, Callable[..., Any]],
    specs: dict[str, list[tf.TensorSpec]] | None = None,
    jit: bool | None = None,
    **parts: Any,
) -> None:
    """Save functions as signatures.

    Args:
        folder: Of the SavedModel.
        functions: By the signature's name.
        specs: Of their arguments, where these aren't just FEED.
        jit: Compile them with XLA.
        parts: The variables and tables that the functions use.
    """
    module = tf.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    signatures = {
        name: tf.function(
            function, input_signature=(specs or {}).get(name, [FEED]), jit_compile=jit
        )
        for name, function in functions.items()
    }
    tf.saved_model.save(module, str(folder), signatures)


def write_module(folder: Path) -> None:
    """Two signatures share a variable, a third one changes it for both."""
    w = tf.Variable(WEIGHTS)

    def double() -> Any:
        return {"first": w.assign(w * 2)[0]}

    functions = {
        "serving_default": lambda x: {"y": x @ w},
        "sum": lambda x: {"sum": tf.reduce_sum(x @ w, 1)},
        "double": double,
    }
    save(folder, functions, {"double": []}, w=w)


def write_table(folder: Path) -> None:
    """words [N] → ids [N] by an asset, and back by a table of constants."""
    with tempfile.TemporaryDirectory() as elsewhere:
        file = Path(elsewhere) / "words.txt"
        file.write_bytes(b"cat\ndog\nowl\n")
        whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        there = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(file), tf.string, whole, tf.int64, number), -1
        )
        back = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([0, 1, 2], tf.int64), tf.constant(["cat", "dog", "owl"])
            ),
            "?",
        )

        def look_up(words: Any) -> Any:
            ids = there.lookup(words)
            return {"ids": ids, "words": back.lookup(ids)}

        specs = [tf.TensorSpec([None], tf.string, name="words")]
        save(folder, {"serving_default": look_up}, {"serving_default": specs}, a=there, b=back)


def write_autograph(folder: Path) -> None:
    """Python's own `while` and `if` on tensors: While and If, or their stateless kin."""

    def halve(x: Any) -> Any:
        steps = tf.zeros_like(x, tf.int32)
        while tf.reduce_any(tf.abs(x) > 1.0):
            large = tf.abs(x) > 1.0
            x, steps = tf.where(large, x / 2, x), steps + tf.cast(large, tf.int32)
        return {"x": x, "steps": steps}

    def flip(x: Any) -> Any:
        if tf.reduce_sum(x) > 0:  # noqa: SIM108
            y = -x
        else:
            y = x * 1
        return {"y": y}

    def collect(x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        for index in tf.range(tf.shape(x)[0]):
            rows = rows.write(index, tf.sort(x[index]))
        return {"y": rows.stack()}

    save(folder, {"serving_default": halve, "flip": flip, "collect": collect})


def _halved(x: np.ndarray) -> dict[str, np.ndarray]:
    steps = np.ceil(np.log2(np.maximum(np.abs(x), 1))).astype(np.int32)
    return {"x": x / np.exp2(steps, dtype=np.float32), "steps": steps}


def write_strings(folder: Path) -> None:
    """String operations, on UTF-8, on bytes that aren't, and on zero bytes."""

    def tidy(text: Any) -> Any:
        lower = tf.strings.lower(text, encoding="utf-8")
        return {
            "lower": lower,
            "length": tf.strings.length(text, unit="UTF8_CHAR"),
            "digits": tf.strings.regex_replace(text, "[0-9]+", "#"),
            "joined": tf.strings.join(["<", text, ">"]),
            "bucket": tf.strings.to_hash_bucket_fast(text, 1),
        }

    specs = [tf.TensorSpec([None], tf.string, name="text")]
    save(
        folder,
        {"serving_default": tidy, "bytes": lambda text: {"text": tf.strings.join([text, "\0"])}},
        {"serving_default": specs, "bytes": specs},
    )


TEXTS = ["Grüße 12", "ÉCOLE 7 b 88", ""]
TIDY = {
    "lower": strings(*(text.lower().encode() for text in TEXTS)),
    "length": np.array([len(text) for text in TEXTS], np.int32),
    "digits": strings("Grüße #".encode(), "ÉCOLE # b #".encode(), b""),
    "joined": strings(*(f"<{text}>".encode() for text in TEXTS)),
    "bucket": np.zeros(3, np.int64),
}


def write_integers(folder: Path) -> None:
    """int64 variables, which stay on the CPU, and a scalar that isn't an input."""
    prices = tf.Variable(np.array([3, 2**40, -7], np.int64))

    def price(item: Any, number: Any) -> Any:
        return {"price": tf.gather(prices, item) * number}

    specs = [tf.TensorSpec([None], tf.int64, name=name) for name in ("item", "number")]
    save(folder, {"serving_default": price}, {"serving_default": specs}, prices=prices)


def write_tally(folder: Path) -> None:
    """Counts what it is asked: a request must run once."""
    seen = tf.Variable(0, dtype=tf.int64)

    def count(x: Any) -> Any:
        return {"seen": seen.assign_add(tf.shape(x, tf.int64)[0]).value()}

    save(folder, {"serving_default": count}, seen=seen)


def write_no_inputs(folder: Path) -> None:
    """A signature without inputs."""
    save(
        folder,
        {"serving_default": lambda: {"classes": tf.constant([b"cat", b"dog"])}},
        {"serving_default": []},
    )


def write_defaults(folder: Path) -> None:
    """An input that may be left out: the signature has its value."""
    specs = [tf.TensorSpec([None, 4], tf.float32, name=name) for name in ("a", "b")]
    save(folder, {"serving_default": lambda a, b: {"sum": a + b}}, {"serving_default": specs})
    add_defaults(folder, "serving_default", "b", [1, 2, 3, 4])


def write_nested(folder: Path) -> None:
    """Functions that call functions, with a gradient inside."""
    w = tf.Variable(WEIGHTS)

    @tf.function
    def square(x: Any) -> Any:
        return x * x

    @tf.function
    def loss(x: Any) -> Any:
        return tf.reduce_sum(square(x @ w), 1)

    @tf.function
    def slope(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return {"loss": value, "gradient": tape.gradient(value, x)}

    save(folder, {"serving_default": slope}, w=w)


def write_compiled(folder: Path) -> None:
    """jit_compile: XLA compiles it for each shape."""
    w = tf.Variable(WEIGHTS)
    save(folder, {"serving_default": lambda x: {"y": x @ w}}, jit=True, w=w)


NUMBERS = (
    tf.float16,
    tf.bfloat16,
    tf.float64,
    tf.int8,
    tf.uint8,
    tf.int16,
    tf.uint16,
    tf.int32,
    tf.uint32,
    tf.int64,
    tf.uint64,
    tf.complex64,
    tf.complex128,
    tf.bool,
)


def write_dtypes(folder: Path) -> None:
    """A signature with an input of each dtype; each gives its input back."""
    specs = [tf.TensorSpec([None, 2], dtype, name=dtype.name) for dtype in NUMBERS]

    def give_back(*tensors: Any) -> Any:
        return {
            dtype.name: tf.reverse(tensor, [1])
            for dtype, tensor in zip(NUMBERS, tensors, strict=True)
        }

    save(folder, {"serving_default": give_back}, {"serving_default": specs})


def _of_each_dtype() -> dict[str, np.ndarray]:
    return {
        dtype.name: np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype.as_numpy_dtype)
        for dtype in NUMBERS
    }


GRADIENT = 2 * (X @ WEIGHTS) @ WEIGHTS.T
LOSS = ((X @ WEIGHTS) ** 2).sum(1)

SPECIMENS = (
    Specimen(
        "tf2-module",
        write_module,
        (
            PRODUCT,
            Call({"x": X}, {"sum": (X @ WEIGHTS).sum(1)}, "sum"),
            Call({}, {"first": WEIGHTS[0] * 2}, "double", row_wise=False),
            Call({"x": X}, {"sum": 2 * (X @ WEIGHTS).sum(1)}, "sum"),
        ),
    ),
    Specimen(
        "tf2-table",
        write_table,
        (
            Call(
                {"words": strings(b"owl", b"cow", b"cat")},
                {"ids": np.array([2, -1, 0]), "words": strings(b"owl", b"?", b"cat")},
            ),
        ),
    ),
    Specimen(
        "tf2-autograph",
        write_autograph,
        (
            Call({"x": X * 9}, _halved(X * 9)),
            Call({"x": X}, {"y": -X}, "flip", row_wise=False),
            Call({"x": -X}, {"y": -X}, "flip", row_wise=False),
            Call({"x": X}, {"y": np.sort(X)}, "collect"),
        ),
    ),
    Specimen(
        "tf2-strings",
        write_strings,
        (
            Call({"text": strings(*(text.encode() for text in TEXTS))}, TIDY),
            Call(
                {"text": strings(b"a\0", b"\xff")}, {"text": strings(b"a\0\0", b"\xff\0")}, "bytes"
            ),
        ),
    ),
    Specimen(
        "tf2-integers",
        write_integers,
        (
            Call(
                {"item": np.array([1, 2]), "number": np.array([3, 5])},
                {"price": np.array([3 * 2**40, -35])},
            ),
        ),
    ),
    Specimen(
        "tf2-tally",
        write_tally,
        tuple(
            Call({"x": np.tile(X, (20, 1))}, {"seen": np.int64(40 * time)}, row_wise=False)
            for time in (1, 2)
        ),
    ),
    Specimen(
        "tf2-no-inputs",
        write_no_inputs,
        (Call({}, {"classes": strings(b"cat", b"dog")}, row_wise=False),),
    ),
    Specimen(
        "tf2-defaults",
        write_defaults,
        (
            Call({"a": X[:1]}, {"sum": X[:1] + np.array([1, 2, 3, 4], np.float32)}),
            Call({"a": X, "b": X}, {"sum": X * 2}),
        ),
    ),
    Specimen("tf2-nested", write_nested, (Call({"x": X}, {"loss": LOSS, "gradient": GRADIENT}),)),
    Specimen("tf2-compiled", write_compiled, (PRODUCT,)),
    Specimen(
        "tf2-dtypes",
        write_dtypes,
        (
            Call(
                _of_each_dtype(),
                {name: array[:, ::-1] for name, array in _of_each_dtype().items()},
            ),
        ),
    ),
)
