"""TensorFlow 1: variables of every kind, lookup tables, and how they are initialised."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.server.model_server.zoo_table import Call, Specimen, strings
from tests.server.model_server.zoo_tf1 import PRODUCT, WEIGHTS, feed, save, signature

v1 = tf.compat.v1


def write_variables(folder: Path, **settings: Any) -> None:
    """y = x × w, w a variable; settings are `get_variable`'s."""

    def build() -> Mapping[str, Any]:
        x = feed()
        w = v1.get_variable("w", WEIGHTS.shape, initializer=_weights, **settings)
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w)})}

    save(folder, build)


def _weights(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    """WEIGHTS, or a part's rows of them; the form of TensorFlow 1's initialisers."""
    start = partition_info.var_offset[0] if partition_info else 0
    return tf.constant(WEIGHTS[start : start + shape[0]])


def write_ref_variables(folder: Path) -> None:
    """VariableV2, whose tensor is a reference."""
    write_variables(folder, use_resource=False)


def write_resource_variables(folder: Path) -> None:
    write_variables(folder, use_resource=True)


def write_partitioned(folder: Path) -> None:
    """One variable in two parts, as parameter servers held it."""
    write_variables(folder, use_resource=False, partitioner=v1.fixed_size_partitioner(2))


WORDS = (b"cat", b"dog", b"owl")


def write_table(folder: Path, **settings: Any) -> None:
    """words [N] → ids [N] by a vocabulary file, an asset; unknown ones −1."""
    with tempfile.TemporaryDirectory() as elsewhere:
        # Gone after this: the table can only come from the SavedModel's own copy.
        file = Path(elsewhere) / "words.txt"
        file.write_bytes(b"\n".join(WORDS) + b"\n")

        def build() -> Mapping[str, Any]:
            words = v1.placeholder(tf.string, [None], name="words")
            name = tf.constant(str(file))
            table = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    name,
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                -1,
            )
            return {"serving_default": signature({"words": words}, {"ids": table.lookup(words)})}

        assets = _collected(v1.GraphKeys.ASSET_FILEPATHS)
        save(folder, build, assets_collection=assets, **settings)


def _collected(key: str) -> Callable[[], Any]:
    return lambda: v1.get_collection(key)


def write_main_op(folder: Path) -> None:
    """A table that the main op fills."""
    write_table(folder, main_op=v1.tables_initializer)


def write_legacy_init_op(folder: Path) -> None:
    """A table that the legacy init op fills, as SavedModels before TensorFlow 1.5 say it."""

    def collect() -> None:
        v1.add_to_collection("legacy_init_op", v1.tables_initializer())

    write_table(folder, main_op=collect)


def write_no_checkpoint(folder: Path) -> None:
    """A local variable, which the main op sets; no variables folder."""

    def build() -> Mapping[str, Any]:
        x = feed()
        w = v1.get_local_variable("w", initializer=WEIGHTS, use_resource=True)
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w)})}

    save(folder, build, main_op=v1.local_variables_initializer)
    shutil.rmtree(folder / "variables")


def write_only_main_op(folder: Path) -> None:
    """A global variable that the main op sets; the checkpoint was never shipped."""

    def build() -> Mapping[str, Any]:
        x = feed()
        w = v1.get_variable("w", initializer=WEIGHTS, use_resource=False)
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w)})}

    save(folder, build, main_op=v1.global_variables_initializer)
    shutil.rmtree(folder / "variables")


def write_main_op_over_checkpoint(folder: Path) -> None:
    """The main op runs after the checkpoint is restored: it adds 1 to the variable."""

    def build() -> Mapping[str, Any]:
        x = feed()
        w = v1.get_variable("w", initializer=WEIGHTS - 1, use_resource=False)
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w)})}

    def more() -> Any:
        (w,) = v1.global_variables()
        return tf.group(v1.assign_add(w, np.ones_like(WEIGHTS)))

    save(folder, build, main_op=more)


def write_counter(folder: Path) -> None:
    """A signature that changes a variable, and another that reads it."""

    def build() -> Mapping[str, Any]:
        amount = v1.placeholder(tf.int64, [], name="amount")
        total = v1.get_variable("total", initializer=np.int64(40), use_resource=True)
        with tf.control_dependencies([total.assign_add(amount, read_value=False)]):
            after = total.read_value()
        return {
            "add": signature({"amount": amount}, {"total": after}),
            "read": signature({}, {"total": total.read_value()}),
        }

    save(folder, build)


LOOKUP = Call({"words": strings(b"owl", b"cow", b"cat")}, {"ids": np.array([2, -1, 0])})

SPECIMENS = (
    Specimen("tf1-ref-variables", write_ref_variables, (PRODUCT,)),
    Specimen("tf1-resource-variables", write_resource_variables, (PRODUCT,)),
    Specimen("tf1-partitioned", write_partitioned, (PRODUCT,)),
    Specimen("tf1-table-main-op", write_main_op, (LOOKUP,)),
    Specimen("tf1-table-legacy-init-op", write_legacy_init_op, (LOOKUP,)),
    Specimen("tf1-no-checkpoint", write_no_checkpoint, (PRODUCT,)),
    Specimen("tf1-only-main-op", write_only_main_op, (PRODUCT,)),
    Specimen("tf1-main-op-over-checkpoint", write_main_op_over_checkpoint, (PRODUCT,)),
    Specimen(
        "tf1-counter",
        write_counter,
        (
            Call({"amount": np.int64(2)}, {"total": np.int64(42)}, "add", row_wise=False),
            Call({}, {"total": np.int64(42)}, "read", row_wise=False),
        ),
    ),
)
