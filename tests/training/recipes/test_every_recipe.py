"""Every recipe is fitted on a tiny real set, evaluated, exported, loaded back and asked.

One of each family in `make test`, every row in `make test-all`.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from contract import manifest as manifests
from export.artifact import export
from tests.training.helpers import KERAS_AND_NUMPY, run_of
from training.recipes import RECIPES, find
from training.report.page import write_report

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]

#: One of each family: dense, convolutional, augmented, transfer, features, regression.
FAMILIES = {
    "mnist-mlp",
    "cats-vs-dogs-tema3",
    "flowers-cnn-augmented",
    "mobilenet-v2-transfer",
    "tema3-block",
    "single-neuron",
}
NAMES = [
    name if name in FAMILIES else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES
]


@pytest.fixture(scope="module")
def cuttings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of scikit-learn's two photographs, as many classes as a recipe may want."""
    root = tmp_path_factory.mktemp("data") / "cuttings"
    for number in range(10):
        folder = root / f"class{number}"
        folder.mkdir(parents=True)
        photograph = load_sample_images().images[number % 2]
        for piece in range(12):
            top, left = 15 * number + 4 * piece, 30 * number + 7 * piece
            cut = photograph[top : top + 200, left : left + 300]
            Image.fromarray(cut).save(folder / f"{piece:02}.jpg")
    return root


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_goes_all_the_way(name: str, cuttings: Path, tmp_path: Path) -> None:
    recipe = find(name)
    options: dict[str, object] = {"tiny": True}
    if recipe.task == "classification":
        classes = tuple(f"class{number}" for number in range(recipe.classes))
        options |= {"given": cuttings, "classes": classes, "batch": 4, "epochs": 1}
    if recipe.backbone is not None:
        options |= {"weights": "none"}
        if len(recipe.stages) == 2:
            options |= {"fine_tune": 1}
    run, _ = run_of(name, tmp_path, **options)
    manifest = run.manifest()
    assert (manifest.recipe, manifest.task) == (name, recipe.task)
    assert manifest.parameters == recipe.parameters
    assert write_report(run, str).stat().st_size > 10_000
    version, verification = export(run, tmp_path / "models")
    assert verification.largest_difference <= verification.allowed
    loaded = tf.saved_model.load(str(version.folder))
    serve = loaded.signatures["serving_default"]
    inputs, _ = run.test_set()
    key = "x" if recipe.task == "regression" else "images"
    output = {"classification": "probabilities", "features": "features", "regression": "y"}
    (got,) = (serve(**{key: tf.constant(inputs[:2])})[output[recipe.task]].numpy(),)
    np.testing.assert_allclose(got, run.outputs()[:2], atol=1e-4, rtol=1e-4)
    said = loaded.signatures["describe"](query=tf.constant([b""]))["manifest"].numpy()[0]
    assert manifests.parse(said).recipe == name


def test_the_single_neuron_has_learned_its_line(tmp_path: Path) -> None:
    run, said = run_of("single-neuron", tmp_path)
    assert run.outputs()[0, 0] == pytest.approx(19, abs=0.1)
    assert "mean absolute error" in said[-1]


def test_features_have_the_documents_sizes(tmp_path: Path) -> None:
    run, said = run_of("tema3-block", tmp_path)
    assert run.outputs().shape[1:] == (63, 63, 32)
    assert "features of 63×63×32" in said[-1]
