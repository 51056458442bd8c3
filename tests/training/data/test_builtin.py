"""The data sets that need no download."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from contract.pixels import PixelSpec, to_pixels
from training.data import catalog
from training.data.dataset import DataRequest, DataSet
from training.errors import DataError


def load(root: Path, name: str, spec: PixelSpec | None, classes: tuple[str, ...] = ()) -> DataSet:
    request = DataRequest(name=name, spec=spec, cache=root / "cache", classes=classes)
    return catalog.load(request, lambda _: None)


def test_the_digits_fill_the_range_of_a_byte(tmp_path: Path) -> None:
    data = load(tmp_path, "digits", PixelSpec(height=28, width=28, channels=1))
    assert data.inputs.shape == (1797, 28, 28, 1)
    assert data.inputs.dtype == np.uint8
    assert (data.inputs.min(), data.inputs.max()) == (0, 255)
    assert data.labels == tuple("0123456789")
    assert np.array_equal(data.targets, load_digits().target)
    assert (data.own_validation, data.own_test) == (0, 0)


@pytest.mark.parametrize("spec", [(28, 28, 1), (8, 8, 1), (30, 20, 3)])
def test_the_digits_are_resized_by_the_contract(tmp_path: Path, spec: tuple[int, int, int]) -> None:
    height, width, channels = spec
    wanted = PixelSpec(height=height, width=width, channels=channels)
    scan = np.rint(load_digits().images[7] * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(
        load(tmp_path, "digits", wanted).inputs[7], to_pixels(Image.fromarray(scan), wanted)
    )


def test_some_digits(tmp_path: Path) -> None:
    data = load(tmp_path, "digits", PixelSpec(height=8, width=8, channels=1), ("7", "1", "4"))
    assert data.labels == ("1", "4", "7")
    whole = load_digits()
    kept = np.isin(whole.target, (1, 4, 7))
    assert np.array_equal(np.array([1, 4, 7])[data.targets], whole.target[kept])
    assert np.array_equal(data.inputs[:, 3, 3, 0], np.rint(whole.images[kept][:, 3, 3] * 255 / 16))


def test_the_photographs_are_24_different_pieces(tmp_path: Path) -> None:
    data = load(tmp_path, "photographs", PixelSpec(height=142, width=160, channels=3))
    assert data.inputs.shape == (24, 142, 160, 3)
    assert (data.labels, data.own_test) == (("china", "flower"), 8)
    assert data.targets.tolist() == [0] * 8 + [1] * 8 + [0] * 4 + [1] * 4
    assert len({piece.tobytes() for piece in data.inputs}) == 24
    np.testing.assert_array_equal(data.inputs[0], load_sample_image("china.jpg")[:142, :160])
    np.testing.assert_array_equal(
        data.inputs[-1], load_sample_image("flower.jpg")[284:426, 480:640]
    )


def test_the_photographs_for_a_model_of_any_size(tmp_path: Path) -> None:
    data = load(tmp_path, "photographs", PixelSpec(height=None, width=None, channels=1))
    assert data.inputs.shape == (24, 256, 256, 1)


def test_the_line(tmp_path: Path) -> None:
    data = load(tmp_path, "line", None)
    assert data.inputs.dtype == data.targets.dtype == np.float32
    assert data.inputs.tolist() == [[-1], [0], [1], [2], [3], [4], [10]]
    assert data.targets.tolist() == [[-3], [-1], [1], [3], [5], [7], [19]]
    assert (data.labels, data.own_test, len(data.fingerprint())) == ((), 1, 64)


def test_the_line_is_neither_pictures_nor_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line: holds numbers"):
        load(tmp_path, "line", PixelSpec(height=1, width=1, channels=1))
    with pytest.raises(DataError, match="line: holds numbers"):
        load(tmp_path, "line", None, ("a", "b"))


@pytest.mark.parametrize("name", ["digits", "flowers"])
def test_a_regression_takes_no_pictures(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: the model learns from numbers"):
        load(tmp_path, name, None)


def test_a_regression_takes_no_folder(tmp_path: Path) -> None:
    request = DataRequest(name="line", spec=None, given=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(DataError, match=f"{tmp_path}: the model learns from numbers"):
        catalog.load(request, lambda _: None)
