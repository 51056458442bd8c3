"""What TensorFlow Serving refuses to load, or loads and can't run.

Statuses and texts are those of TensorFlow's own C++, which is what TensorFlow Serving runs.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.server.model_server.zoo_keras import IMAGES, write_saved
from tests.server.model_server.zoo_table import Failing, Malformed
from tests.server.model_server.zoo_tf1 import X, feed, save, signature, write_frozen, write_text
from tests.server.model_server.zoo_tf1_state import write_main_op, write_ref_variables
from tests.server.model_server.zoo_tf2 import write_module

v1 = tf.compat.v1

Writer = Callable[[Path], None]

PB, PBTXT = "saved_model.pb", "saved_model.pbtxt"
INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
ASSET = "assets/words.txt"


def edited(write: Writer, change: Callable[[Any], None]) -> Writer:
    """What `write` writes, with another MetaGraphDef."""

    def put(folder: Path) -> None:
        write(folder)
        model = saved_model_pb2.SavedModel.FromString((folder / PB).read_bytes())
        change(model.meta_graphs[0])
        (folder / PB).write_bytes(model.SerializeToString())

    return put


def spoilt(write: Writer, file: str, change: Callable[[bytes], bytes | None]) -> Writer:
    """What `write` writes, with another file; none if `change` gives None."""

    def put(folder: Path) -> None:
        write(folder)
        content = change((folder / file).read_bytes())
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_bytes(content)

    return put


def holding(**files: bytes) -> Writer:
    """A folder of files, `__` for the dot of their names."""

    def put(folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_bytes(content)

    return put


def no_file(content: bytes) -> None:
    return None


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


def _node(meta_graph: Any, op: str) -> Any:
    return next(node for node in meta_graph.graph_def.node if node.op == op)


def unknown_op(meta_graph: Any) -> None:
    _node(meta_graph, "MatMul").op = "MatMulOfTomorrow"


def unknown_op_in_function(meta_graph: Any) -> None:
    nodes = [node for f in meta_graph.graph_def.library.function for node in f.node_def]
    next(node for node in nodes if node.op == "MatMul").op = "MatMulOfTomorrow"


def unknown_input(meta_graph: Any) -> None:
    _node(meta_graph, "MatMul").input[0] = "nobody"


def two_main_ops(meta_graph: Any) -> None:
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append("x")


def unknown_output(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].outputs["y"].name = "nobody:0"


def unknown_feed(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].inputs["x"].name = "nobody:0"


def same_word_twice(content: bytes) -> bytes:
    """A vocabulary that gives one word two numbers."""
    return b"cat\ndog\ncat\n"


def write_pass_through(folder: Path) -> None:
    """An output that is the input itself."""

    def build() -> Mapping[str, Any]:
        x = feed()
        return {"serving_default": signature({"x": x}, {"y": x})}

    save(folder, build)


def write_twice_fed(folder: Path) -> None:
    """Two inputs of one tensor."""

    def build() -> Mapping[str, Any]:
        x = feed()
        return {"serving_default": signature({"a": x, "b": x}, {"y": x * 2})}

    save(folder, build)


def without_variables(folder: Path) -> None:
    write_ref_variables(folder)
    shutil.rmtree(folder / "variables")


NO_MODEL = (
    "Specified file path does not appear to contain a SavedModel bundle (should have a file "
    "called `saved_model.pb`)\nSpecified file path: {path}"
)
NO_TAGS = "Could not find meta graph def matching supplied tags: { %s }. To inspect available tag"
UNPARSED = f"Can't parse {{path}}/{PB} as binary proto"
NO_TEXT = f"Can't parse {{path}}/{PBTXT} as text proto"
NO_OP = "Op type not registered 'MatMulOfTomorrow' in binary running on "

# Where a saved_model.pb ends early, TensorFlow has OUT_OF_RANGE with a text that names no file.
MALFORMED = (
    Malformed("empty-folder", holding(), "NOT_FOUND", NO_MODEL),
    Malformed("other-files", holding(readme__md=b"x", model__h5=b"y"), "NOT_FOUND", NO_MODEL),
    Malformed(
        "session-bundle",
        holding(export__meta=b"x"),
        "UNIMPLEMENTED",
        "Session Bundle is deprecated and removed.",
    ),
    Malformed("garbage", holding(saved_model__pb=b"\xff" * 99), "DATA_LOSS", UNPARSED),
    Malformed("truncated", spoilt(write_frozen, PB, half), "DATA_LOSS", UNPARSED),
    Malformed("garbage-text", holding(saved_model__pbtxt=b"]]]"), "DATA_LOSS", NO_TEXT),
    Malformed("truncated-text", spoilt(write_text, PBTXT, half), "DATA_LOSS", NO_TEXT),
    Malformed("bytes-text", holding(saved_model__pbtxt=b"\xff"), "DATA_LOSS", NO_TEXT),
    Malformed("nothing", holding(saved_model__pb=b""), "NOT_FOUND", NO_TAGS % "serve"),
    Malformed("other-tags", write_frozen, "NOT_FOUND", NO_TAGS % "gpu", "gpu"),
    Malformed("more-tags", write_frozen, "NOT_FOUND", "Could not find meta graph", "serve,gpu"),
    Malformed(
        "no-data",
        spoilt(write_ref_variables, DATA, no_file),
        "NOT_FOUND",
        f"{{path}}/{DATA}; No such file or directory",
    ),
    Malformed(
        "tf2-no-data",
        spoilt(write_module, DATA, no_file),
        "NOT_FOUND",
        f"{{path}}/{DATA}; No such file or directory",
    ),
    Malformed(
        "short-data",
        spoilt(write_ref_variables, DATA, half),
        "OUT_OF_RANGE",
        "Read less bytes than requested",
    ),
    Malformed(
        "spoilt-data",
        spoilt(write_ref_variables, DATA, zeros),
        "DATA_LOSS",
        "TensorBundle at {path}/variables/variables shard 0 (32 bytes): Checksum does not match",
    ),
    Malformed(
        "spoilt-index",
        spoilt(write_ref_variables, INDEX, half),
        "DATA_LOSS",
        "not an sstable (bad magic number)",
    ),
    Malformed("unknown-op", edited(write_frozen, unknown_op), "NOT_FOUND", NO_OP),
    Malformed(
        "unknown-op-in-function",
        edited(write_module, unknown_op_in_function),
        "NOT_FOUND",
        NO_OP,
    ),
    Malformed(
        "unknown-input",
        edited(write_frozen, unknown_input),
        "INVALID_ARGUMENT",
        "Node 'MatMul': Unknown input node 'nobody'",
    ),
    Malformed(
        "two-main-ops",
        edited(write_main_op, two_main_ops),
        "FAILED_PRECONDITION",
        "Expected exactly one main op in : {path}",
    ),
    Malformed(
        "no-asset",
        spoilt(write_main_op, ASSET, no_file),
        "NOT_FOUND",
        f"{{path}}/{ASSET}; No such file or directory",
    ),
    Malformed(
        "bad-asset",
        spoilt(write_main_op, ASSET, same_word_twice),
        "FAILED_PRECONDITION",
        "HashTable has different value for same key. Key cat has 0 and trying to add value 2",
    ),
)

UNINITIALISED = "Attempting to use uninitialized value w"
UNKNOWN_TENSOR = "Tensor nobody:0, specified in either feed_devices or fetch_devices was not found"

FAILING = (
    Failing("no-variables", without_variables, {"x": X}, "FAILED_PRECONDITION", UNINITIALISED),
    Failing(
        "no-index",
        spoilt(write_ref_variables, INDEX, no_file),
        {"x": X},
        "FAILED_PRECONDITION",
        UNINITIALISED,
    ),
    Failing(
        "tf2-no-index",
        spoilt(write_module, INDEX, no_file),
        {"x": X},
        "FAILED_PRECONDITION",
        "Could not find variable Variable.",
    ),
    # Each variable is saved twice: the copy that is restored is not the one that is read.
    Failing(
        "keras3-saved",
        write_saved,
        {"inputs": IMAGES},
        "FAILED_PRECONDITION",
        "Could not find variable sequential",
    ),
    Failing(
        "pass-through",
        write_pass_through,
        {"x": X},
        "INVALID_ARGUMENT",
        "x:0 is both fed and fetched.",
    ),
    Failing(
        "twice-fed",
        write_twice_fed,
        {"a": X, "b": X},
        "INVALID_ARGUMENT",
        'Endpoint "x:0" fed more than once.',
    ),
    Failing(
        "unknown-output",
        edited(write_frozen, unknown_output),
        {"x": X},
        "INVALID_ARGUMENT",
        UNKNOWN_TENSOR,
    ),
    Failing(
        "unknown-feed",
        edited(write_frozen, unknown_feed),
        {"x": X},
        "INVALID_ARGUMENT",
        UNKNOWN_TENSOR,
    ),
)
