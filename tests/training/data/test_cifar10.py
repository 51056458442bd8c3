"""CIFAR-10's pickled batches, as Python 2 has written them, and what else a pickle may hold."""

import io
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from contract.pixels import PixelSpec
from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import catalog
from training.data.cifar10 import read_batch
from training.data.dataset import DataRequest
from training.data.sources import SOURCES
from training.errors import SourceError


class Python2(pickle._Pickler):  # type: ignore[misc]
    """Writes bytes and text as Python 2's strings, as CIFAR-10's own batches have them."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, obj: bytes | str) -> None:
        data = obj if isinstance(obj, bytes) else obj.encode()
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(obj)

    dispatch[bytes] = save_string
    dispatch[str] = save_string


def pickled(batch: object) -> bytes:
    buffer = io.BytesIO()
    Python2(buffer, 2, fix_imports=True).dump(batch)
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def batch(seed: int, count: int = 10) -> dict[str, Any]:
    rows = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return {"data": rows, "labels": [n % 10 for n in range(count)], "batch_label": "batch 1"}


def test_a_batch_is_read_plane_by_plane(tmp_path: Path) -> None:
    made = batch(1)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickled(made))
    assert b"numpy.core.multiarray" in path.read_bytes()
    pictures, classes = read_batch(path)
    assert pictures.shape == (10, 32, 32, 3)
    assert pictures[4, 7, 9].tolist() == [made["data"][4, c * 1024 + 7 * 32 + 9] for c in range(3)]
    assert classes.tolist() == list(range(10))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("touched"),)


BAD = {
    "runs code": pickle.dumps({b"data": Evil()}, 2),
    "runs code by eval": b'cbuiltins\neval\n(S\'open("touched","w")\'\ntR.',
    "reaches into NumPy": b"cnumpy\nsave\n.",
    "no pickle": b"text",
    "empty": b"",
    "other keys": pickled({"fine_labels": []}),
    "too few labels": pickled({**batch(1), "labels": [1]}),
    "negative": pickled({**batch(1), "labels": [-1] * 10}),
    "other rows": pickled({**batch(1), "data": np.zeros((10, 100), np.uint8)}),
    "floats": pickled({**batch(1), "data": np.zeros((10, 3072))}),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_batch_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_batch"
    path.write_bytes(BAD[case])
    with pytest.raises(SourceError, match="test_batch: not a batch of CIFAR-10"):
        read_batch(path)
    assert not (tmp_path / "touched").exists()


def test_the_archive_becomes_a_data_set(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for number, name in enumerate(names):
            data = pickled(batch(number))
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    archive = buffer.getvalue()
    source = SOURCES["cifar10"]
    file = replace(
        source.files[0],
        url=f"{web.url}/c.tar.gz",
        sha256=helpers.sha256(archive),
        size=len(archive),
    )
    monkeypatch.setitem(SOURCES, "cifar10", replace(source, files=(file,)))
    web.routes["/c.tar.gz"] = sends(archive)
    request = DataRequest(
        name="cifar10", spec=PixelSpec(height=32, width=32, channels=3), cache=tmp_path / "cache"
    )
    for _ in range(2):
        data = catalog.load(request, lambda _: None)
        assert (data.inputs.shape, data.own_test) == ((60, 32, 32, 3), 10)
        assert data.labels == source.classes
        for number in range(6):
            planes = data.inputs[number * 10 + 3].transpose(2, 0, 1).reshape(-1)
            assert np.array_equal(planes, batch(number)["data"][3])
    assert web.paths == ["/c.tar.gz"]
    some = catalog.load(replace(request, classes=("truck", "cat")), lambda _: None)
    assert some.targets.tolist() == [0, 1] * 6
    assert some.own_test == 2
