"""Reading a SavedModel into a session, as TensorFlow's C++ loader does it.

Not `tf.compat.v1.saved_model.load`: that one wants a checkpoint where a main op sets all variables,
and has statuses and texts of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from server.model_server.errors import ServingError, invalid_argument, not_found, unimplemented

INIT_OP = "__saved_model_init_op"


def read(folder: Path, tags: tuple[str, ...]) -> Any:
    """The MetaGraphDef of a SavedModel that has exactly these tags.

    Raises:
        ServingError: NOT_FOUND, UNIMPLEMENTED or DATA_LOSS: there is none, or it can't be parsed.
        tf.errors.OpError: It can't be read.
    """
    model = _parse(folder)
    for meta_graph in model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise not_found(
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect "
        "available tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
    )


def _parse(folder: Path) -> Any:
    binary, text = folder / "saved_model.pb", folder / "saved_model.pbtxt"
    model = saved_model_pb2.SavedModel()
    if binary.exists():
        try:
            model.ParseFromString(_content(binary))
        except DecodeError as error:
            raise _data_loss(f"Can't parse {binary} as binary proto") from error
        return model
    if text.exists():
        try:
            return text_format.Parse(_content(text), model)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise _data_loss(f"Can't parse {text} as text proto") from error
    if (folder / "export.meta").exists():
        raise unimplemented("Session Bundle is deprecated and removed.")
    raise not_found(
        "Specified file path does not appear to contain a SavedModel bundle (should have a "
        f"file called `saved_model.pb`)\nSpecified file path: {folder}"
    )


def _content(file: Path) -> bytes:
    # Not Path's own: the errors of this one have TensorFlow's status and text.
    with tf.io.gfile.GFile(str(file), "rb") as stream:
        return bytes(stream.read())


def _data_loss(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.DATA_LOSS, text)


def initialise(session: Any, meta_graph: Any, folder: Path) -> None:
    """Import the graph, restore the variables, run the init op.

    Args:
        session: With an empty graph.
        meta_graph: The MetaGraphDef.
        folder: Of the SavedModel: its variables and assets.

    Raises:
        ServingError: The graph is not valid, or has more than one init op.
        tf.errors.OpError: The graph has unknown operations, or a run failed.
    """
    producer_ops = meta_graph.meta_info_def.stripped_op_list
    try:
        with session.graph.as_default():
            tf.import_graph_def(meta_graph.graph_def, name="", producer_op_list=producer_ops)
    except ValueError as error:  # TensorFlow's Python makes it of C++'s INVALID_ARGUMENT.
        raise invalid_argument(str(error)) from error
    # The runs below and Servable.run go around Session.run, which would do this.
    session._extend_graph()
    assets = _assets(meta_graph, folder)
    # Without a checkpoint there is nothing to restore; the init op may set the variables.
    if (folder / "variables" / "variables.index").exists():
        prefix = str(folder / "variables" / "variables")
        saver = meta_graph.saver_def
        _run(session, saver.restore_op_name, {saver.filename_tensor_name: prefix} | assets)
    if init_op := _init_op(meta_graph, folder):
        _run(session, init_op, assets)


def _assets(meta_graph: Any, folder: Path) -> dict[str, str]:
    """Paths of the asset files, by the name of the tensor that holds each."""
    assets = list(meta_graph.asset_file_def)
    if not assets and "saved_model_assets" in meta_graph.collection_def:
        for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
            packed.Unpack(asset := meta_graph_pb2.AssetFileDef())
            assets.append(asset)
    return {asset.tensor_info.name: str(folder / "assets" / asset.filename) for asset in assets}


def _init_op(meta_graph: Any, folder: Path) -> str:
    """The name of the operation to run after restoring; empty if there is none."""
    if INIT_OP in meta_graph.signature_def:
        return str(meta_graph.signature_def[INIT_OP].outputs[INIT_OP].name)
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta_graph.collection_def:
            operations = meta_graph.collection_def[key].node_list.value
            if len(operations) != 1:
                raise ServingError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Expected exactly one main op in : {folder}",
                )
            return str(operations[0])
    return ""


def _run(session: Any, operation: str, paths: Mapping[str, str]) -> None:
    # Session.run would add Python's view of the graph to each error's text.
    graph = session.graph
    feeds = {
        graph.get_tensor_by_name(name)._as_tf_output(): np.array(path.encode(), object)
        for name, path in paths.items()
    }
    target = graph.get_operation_by_name(operation)._c_op
    session._call_tf_sessionrun(None, feeds, [], [target], None)
