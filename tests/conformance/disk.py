"""The folders of models that tests change while a server looks at them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.conformance import graphs, models

WARMUP = Path("assets.extra", "tf_serving_warmup_requests")


class Disk:
    """Folders of models below `root`; `scaled` versions compute x × their number.

    Nothing is ever seen half written: a version is made beside and renamed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._saved: dict[Any, Path] = {}
        (root / "saved").mkdir(parents=True)

    def base(self, model: str) -> Path:
        return self.root / "models" / model

    def publish(
        self,
        model: str,
        version: int | str,
        build: Any = None,
        files: Mapping[str, bytes] | None = None,
        warmup: Sequence[Any] | bytes | None = None,
    ) -> Path:
        """Put a version in place, with more files and warm-up records if they are given."""
        target = self.base(model) / str(version)
        beside = target.with_name(f"_{version}")
        shutil.copytree(self._source(build, int(version)), beside)
        for name, content in (files or {}).items():
            (beside / name).write_bytes(content)
        if warmup is not None:
            write_warmup(beside, warmup)
        return beside.rename(target)

    def broken(self, model: str, version: int, files: Mapping[str, bytes] | None = None) -> Path:
        """Put a folder in place that holds no model, only these files."""
        target = self.base(model) / str(version)
        beside = target.with_name(f"_{version}")
        beside.mkdir(parents=True)
        for name, content in (files or {}).items():
            path = beside / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return beside.rename(target)

    def repair(self, model: str, version: int) -> None:
        """Write a good model into a version's folder, as it stands."""
        shutil.copytree(
            self._source(None, version), self.base(model) / str(version), dirs_exist_ok=True
        )

    def remove(self, model: str, version: int) -> None:
        """Take a version away, all at once."""
        gone = self.root / f"gone-{model}-{version}"
        (self.base(model) / str(version)).rename(gone)
        shutil.rmtree(gone)

    def _source(self, build: Any, version: int) -> Path:
        key = build or version
        if key not in self._saved:
            path = self.root / "saved" / str(len(self._saved))
            models.write_model(path, build or graphs.scaled(version))
            self._saved[key] = path
        return self._saved[key]


def write_warmup(folder: Path, records: Sequence[Any] | bytes) -> None:
    """Write PredictionLogs, or bytes that are none, as a version's warm-up file."""
    path = folder / WARMUP
    path.parent.mkdir(exist_ok=True)
    if isinstance(records, bytes):
        path.write_bytes(records)
        return
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record.SerializeToString())


def log_of(kind: str, request: Any = None) -> Any:
    """A PredictionLog of a kind, `predict` for example, of a request."""
    entry = prediction_log_pb2.PredictionLog()
    inner = getattr(entry, f"{kind}_log")
    inner.SetInParent()
    if request is not None:
        inner.request.CopyFrom(request)
    return entry
