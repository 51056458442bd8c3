"""A frozen backbone's features: computed once, the same as the backbone gives."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.training.helpers import KERAS_AND_NUMPY, data_set, run_of
from training.data.dataset import DataSet
from training.errors import DataError
from training.fitting import features

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]
WEIGHTS = {"weights": "none", "alpha": 0.35, "tiny": True, "batch": 8, "epochs": 2}


@pytest.fixture
def extractor() -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(3, 2), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), *layers])


@pytest.fixture
def data() -> DataSet:
    pixels = np.random.default_rng(1).integers(0, 256, (150, 4, 4, 1), dtype=np.uint8)
    return replace(data_set([75, 75]), inputs=pixels)


def test_features_are_the_extractors_own(
    extractor: keras.Model, data: DataSet, tmp_path: Path
) -> None:
    said: list[str] = []
    got = features.cached(extractor, "a", data, tmp_path, said.append)
    assert (got.shape, got.dtype) == ((150, 27), np.float32)
    np.testing.assert_allclose(got, extractor.predict(data.inputs, verbose=0), atol=1e-6)
    assert "each picture passes it once" in said[0]


def test_the_second_time_nothing_is_computed(
    extractor: keras.Model, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = np.array(features.cached(extractor, "a", data, tmp_path, str))
    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(features, "_compute", None)
        again = features.cached(extractor, "a", data, tmp_path, said.append)
    np.testing.assert_array_equal(first, again)
    assert "from the cache" in said[0]


def test_other_pictures_or_weights_have_features_of_their_own(
    extractor: keras.Model, data: DataSet, tmp_path: Path
) -> None:
    features.cached(extractor, "a", data, tmp_path, str)
    features.cached(extractor, "b", data, tmp_path, str)
    extractor.set_weights([weight + 1 for weight in extractor.get_weights()])
    features.cached(extractor, "a", data, tmp_path, str)
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_stopped_in_the_middle_nothing_is_left(
    extractor: keras.Model, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = features._compute

    def interrupted(*arguments: object) -> object:
        yield next(compute(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "_compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        features.cached(extractor, "a", data, tmp_path, str)
    assert not list((tmp_path / "features").iterdir())


def test_without_room_it_says_so_before_it_begins(
    extractor: keras.Model, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DataError, match=r"the features needs 16\.2 kB .* has 100 bytes free"):
        features.cached(extractor, "a", data, tmp_path, str)


def test_a_fit_uses_them_and_says_when_it_cant(three_colours: Path, tmp_path: Path) -> None:
    _, said = run_of("mobilenet-v2-transfer", tmp_path, given=three_colours, **WEIGHTS)
    assert any(line.startswith("features: the backbone is frozen") for line in said)
    _, said = run_of("mobilenet-v2-transfer", tmp_path, given=three_colours, **WEIGHTS)
    assert any("from the cache" in line for line in said if line.startswith("features"))
    options = {**WEIGHTS, "augmentation": "flip", "epochs": 1}
    _, said = run_of("mobilenet-v2-transfer", tmp_path, given=three_colours, **options)
    assert any(line.startswith("features: not cached, since augmentation") for line in said)


def test_a_head_on_features_is_the_whole_models_head(three_colours: Path, tmp_path: Path) -> None:
    """What the head learned on features is what the exported model says of the pictures."""
    run, _ = run_of("mobilenet-v2-transfer", tmp_path, given=three_colours, **WEIGHTS)
    model = keras.models.load_model(run.inference_model, compile=False)
    images, _ = run.test_set()
    answers = model.predict(np.asarray(images), verbose=0)
    np.testing.assert_allclose(answers, run.outputs(), atol=1e-5)
    assert run.manifest().backbone == "MobileNetV2"
    assert run.manifest().parameters == model.count_params()
