"""The models that the suite asks about, as SavedModels, with the files to serve them by.

    python -m tests.conformance.models FOLDER

writes them and prints how to start a server on them. All are graphs of TensorFlow 1, which name
their tensors as the error texts do, and which take no time to write.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.conformance import graphs

Build = Callable[[Path], Mapping[str, Any]]
"""Builds a graph, given a folder for its assets → its signatures by name."""

MODELS: dict[str, dict[str, Build]] = {
    "half_plus_two": {"00000123": graphs.half_plus_two},
    "numbers": {"7": graphs.numbers},
    "images": {"1": graphs.images},
    "texts": {"1": graphs.texts},
    "words": {"1": graphs.words},
    "dtypes": {"1": graphs.dtypes},
    "defaults": {"1": graphs.defaults},
    "versions": {"1": graphs.scaled(1), "2": graphs.scaled(2)},
    "examples": {"1": graphs.examples},
}
"""Every model that one server without batching holds, by name and version folder."""

ALL_VERSIONS = "model_version_policy { all {} }"
LABELS = {"stable": 1, "canary": 2, "gone": 9}
"""The labels of `versions`; there is no version 9."""
MONITORING = "prometheus_config { enable: true }\n"


def write_model(folder: Path, build: Build) -> None:
    """Write one version; the folder must not exist yet, and appears complete or not at all."""
    beside = folder.with_name(f"_{folder.name}")
    graph = tf.Graph()
    with (
        tempfile.TemporaryDirectory() as assets,
        graph.as_default(),
        tf.compat.v1.Session(graph=graph) as session,
    ):
        signatures = build(Path(assets))
        session.run(tf.compat.v1.global_variables_initializer())
        builder = tf.compat.v1.saved_model.Builder(str(beside))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map=signatures,
            assets_collection=tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf.compat.v1.tables_initializer(),
            strip_default_attrs=True,
        )
        builder.save()
    beside.rename(folder)


def entry(name: str, base_path: Path, more: str = "") -> str:
    """One model of a ModelServerConfig in text form."""
    where = f'name: "{name}" base_path: "{base_path}" model_platform: "tensorflow"'
    return f"config {{ {where} {more} }}\n"


def config(*entries: str) -> str:
    return "model_config_list {\n" + "".join(entries) + "}\n"


def write_all(folder: Path) -> None:
    """Write every model, `models.config` and `monitoring.config`."""
    entries = []
    for name, versions in MODELS.items():
        for version, build in versions.items():
            path = folder / name / version
            path.parent.mkdir(parents=True, exist_ok=True)
            write_model(path, build)
        more = ""
        if len(versions) > 1:
            labels = [f'version_labels {{ key: "{k}" value: {v} }}' for k, v in LABELS.items()]
            more = " ".join([ALL_VERSIONS, *labels])
        entries.append(entry(name, folder / name, more))
    (folder / "models.config").write_text(config(*entries))
    (folder / "monitoring.config").write_text(MONITORING)


def flags(folder: Path, port: int = 8500, rest_port: int = 8501) -> list[str]:
    """What starts a server on the written models."""
    return [
        f"--port={port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={folder / 'models.config'}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
        "--enable_grpc_healthcheck_service=true",
        "--allow_version_labels_for_unavailable_models=true",
    ]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m tests.conformance.models FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    write_all(folder)
    print(" \\\n    ".join(["tensorflow_model_server", *flags(folder)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
