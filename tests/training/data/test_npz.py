""".npz files as data sets, whole ones and all the ways to be none."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.pixels import PixelSpec, to_pixels
from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import arrays, catalog
from training.data.dataset import DataRequest, DataSet
from training.data.sources import SOURCES
from training.errors import DataError

GREY = PixelSpec(height=6, width=5, channels=1)
RNG = np.random.default_rng(4)


def pictures(count: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8)


def content(**changed: Any) -> dict[str, Any]:
    """A sound file's arrays; None leaves one out."""
    arrays = {
        "x_train": pictures(9, 6, 5),
        "y_train": np.arange(9, dtype=np.uint8) % 3,
        "x_test": pictures(4, 6, 5),
        "y_test": np.array([2, 1, 0, 2]),
        **changed,
    }
    return {key: value for key, value in arrays.items() if value is not None}


def load(path: Path, spec: PixelSpec = GREY, name: str = "flowers", **asked: Any) -> DataSet:
    said = asked.pop("said", [])
    request = DataRequest(name=name, spec=spec, given=path, cache=path.parent / "cache", **asked)
    return catalog.load(request, said.append)


def saved(root: Path, **changed: Any) -> Path:
    path = root / "made.npz"
    np.savez_compressed(path, **content(**changed))
    return path


def test_training_pictures_come_first_and_the_test_set_last(tmp_path: Path) -> None:
    made = content()
    path = tmp_path / "made.npz"
    np.savez(path, **made)
    said: list[str] = []
    data = load(path, said=said)
    assert said == [f"data: the file {path}"]
    assert (data.name, data.source, data.own_test) == ("made", "file made.npz", 4)
    assert data.labels == ("0", "1", "2")
    assert data.inputs.shape == (13, 6, 5, 1)
    assert data.inputs[..., 0].tobytes() == made["x_train"].tobytes() + made["x_test"].tobytes()
    assert data.targets.dtype == np.int64
    assert data.targets.tolist() == [0, 1, 2] * 3 + [2, 1, 0, 2]
    assert not data.inputs.flags.writeable


def test_a_validation_set_lies_between(tmp_path: Path) -> None:
    x_val = pictures(2, 6, 5, 1)
    data = load(saved(tmp_path, x_val=x_val, y_val=np.array([[1], [0]])))
    assert (len(data.targets), data.own_validation, data.own_test) == (15, 2, 4)
    assert data.targets[9:11].tolist() == [1, 0]
    np.testing.assert_array_equal(data.inputs[9:11], x_val)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (4, 9, 4), (40, 50, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_pixels_are_made_by_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], channels: Any
) -> None:
    monkeypatch.setattr(arrays, "_BLOCK", 200)  # more than one block
    spec = PixelSpec(height=6, width=5, channels=channels)
    x_train = pictures(9, *shape)
    data = load(saved(tmp_path, x_train=x_train), spec)
    for source, pixels in zip(x_train, data.inputs, strict=False):
        image = Image.fromarray(source.reshape(source.shape[:2]) if shape[-1:] == (1,) else source)
        np.testing.assert_array_equal(pixels, to_pixels(image, spec))


def test_the_second_time_no_pictures_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    first = load(path)
    monkeypatch.setattr(arrays, "_blocks", None)
    said: list[str] = []
    assert load(path, said=said).fingerprint() == first.fingerprint()
    assert "already decoded" in said[-1]
    monkeypatch.undo()
    np.savez(path, **content())
    assert load(path).fingerprint() != first.fingerprint()


def test_labels_are_class_names_or_the_data_sets_or_numbers(tmp_path: Path) -> None:
    names = np.array(["zoo", "ant", "mole"])
    assert load(saved(tmp_path, class_names=names)).labels == ("zoo", "ant", "mole")
    assert load(saved(tmp_path), name="rock-paper-scissors").labels == ("paper", "rock", "scissors")
    assert load(saved(tmp_path), name="cifar10").labels == ("0", "1", "2")


def test_only_the_chosen_classes(tmp_path: Path) -> None:
    made = content(class_names=np.array(["zoo", "ant", "mole"]))
    path = tmp_path / "made.npz"
    np.savez(path, **made)
    data = load(path, classes=("mole", "zoo"))
    assert data.labels == ("zoo", "mole")
    assert data.targets.tolist() == [0, 1, 0, 1, 0, 1, 1, 0, 1]
    assert data.own_test == 3
    kept = made["x_train"][made["y_train"] != 1]
    np.testing.assert_array_equal(data.inputs[:6, :, :, 0], kept)
    assert len(load(path).targets) == 13
    with pytest.raises(DataError, match="no class 'bee'; there are zoo, ant, mole"):
        load(path, classes=("mole", "bee"))
    with pytest.raises(DataError, match="only the class 'ant' was chosen"):
        load(path, classes=("ant",))


def test_other_keys_are_said_and_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    load(saved(tmp_path, notes=np.array(["x"])), said=said)
    assert said[1].endswith("made.npz: left out: notes")


def test_fortran_order_is_the_same(tmp_path: Path) -> None:
    x_train = pictures(9, 6, 5, 3)
    spec = PixelSpec(height=6, width=5, channels=3)
    data = load(
        saved(tmp_path, x_train=np.asfortranarray(x_train), x_test=pictures(4, 6, 5, 3)), spec
    )
    np.testing.assert_array_equal(data.inputs[:9], x_train)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no test": ({"x_test": None, "y_test": None}, "has no x_test, y_test; it has x_train, y_train"),
    "half a validation": ({"x_val": pictures(2, 6, 5)}, "has no y_val"),
    "floats": ({"x_train": np.zeros((9, 6, 5))}, "x_train is float64; pictures have to be uint8"),
    "objects": ({"x_train": np.array([None] * 9)}, "x_train is object"),
    "flat": ({"x_train": pictures(9, 30)}, r"x_train has the shape \[9, 30\]"),
    "channels first": ({"x_test": pictures(4, 3, 6, 5)}, r"x_test has the shape \[4, 3, 6, 5\]"),
    "no pixels": ({"x_test": pictures(4, 0, 5)}, r"x_test has the shape \[4, 0, 5\]"),
    "float classes": ({"y_train": np.zeros(9)}, "y_train is float64; classes have to be whole"),
    "object classes": ({"y_train": np.array([None] * 9)}, "y_train can't be read"),
    "one-hot": ({"y_train": np.eye(9, 3, dtype=int)}, r"y_train has the shape \[9, 3\]; \[9\]"),
    "too few classes": ({"y_train": np.zeros(8, int)}, r"y_train has the shape \[8\]"),
    "negative": ({"y_train": np.arange(9) - 1}, "y_train is out of range: -1 … 7"),
    "huge": ({"y_test": np.array([0, 1, 2, 2**63], np.uint64)}, "y_test is out of range"),
    "unnamed": ({"class_names": np.array(["a", "b"])}, "y_train is out of range: it has class 2"),
    "same names": ({"class_names": np.array(["a", "b", "a"])}, "class_names has to be a list"),
    "numbers": ({"class_names": np.arange(3)}, "class_names has to be a list"),
    "object names": ({"class_names": np.array(["a", None, 1])}, "class_names can't be read"),
    "single": ({"y_train": np.zeros(9, int), "y_test": np.zeros(4, int)}, "a single class"),
    "not learned": ({"y_train": np.arange(9) % 2}, "class '2' has no pictures to learn"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    changed, text = WRONG[case]
    with pytest.raises(DataError, match=text) as caught:
        load(saved(tmp_path, **changed))
    assert "made" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    with pytest.raises(DataError, match=r"made\.npz: no such file"):
        load(path)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match=r"can't be read as \.npz"):
        load(path)
    other = tmp_path / "made.tar"
    other.write_bytes(b"text")
    with pytest.raises(DataError, match=r"no such folder; it is a file, and not an \.npz"):
        load(other)


def test_a_damaged_npz_leaves_no_half_cache(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    np.savez(path, **content(x_train=pictures(9, 60, 50)))
    data = bytearray(path.read_bytes())
    at = bytes(data).index(b"x_train.npy") + 20_000
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"made\.npz: x_train can't be read: Bad CRC"):
        load(path)
    assert list((tmp_path / "cache" / "decoded").iterdir()) == []


def test_a_header_that_promises_more_than_there_is_memory_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=None)
    header = {"descr": "|u1", "fortran_order": False, "shape": (9, 6_000_000, 5_000_000)}
    with zipfile.ZipFile(path, "a") as file, file.open("x_train.npy", "w") as entry:
        np.lib.format.write_array_header_1_0(entry, header)
    with pytest.raises(DataError, match="x_train can't be read: Unable to allocate"):
        load(path)


def test_mnist_comes_from_kerass_file(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = content(y_train=np.arange(20) % 10, x_train=pictures(20, 6, 5))
    path = tmp_path / "made.npz"
    np.savez(path, **made)
    web.routes["/mnist.npz"] = sends(path.read_bytes())
    source = SOURCES["mnist"]
    (file,) = source.files
    file = replace(
        file,
        url=f"{web.url}/mnist.npz",
        sha256=helpers.sha256(path.read_bytes()),
        size=path.stat().st_size,
    )
    monkeypatch.setitem(SOURCES, "mnist", replace(source, files=(file,)))
    said: list[str] = []
    request = DataRequest(name="mnist", spec=GREY, cache=tmp_path / "cache")
    data = catalog.load(request, said.append)
    assert (data.name, data.labels, data.own_test) == ("mnist", tuple("0123456789"), 4)
    assert said == [f"mnist: from {web.url}/mnist.npz"]
    cached = tmp_path / "cache" / "mnist" / "mnist.npz"
    catalog.load(request, said.append)
    assert said[1] == f"mnist: from the cache {cached}"
    cached.write_bytes(b"damaged")
    assert catalog.load(request, said.append).fingerprint() == data.fingerprint()
    assert web.paths == ["/mnist.npz"] * 2
