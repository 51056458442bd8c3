"""The recipe table and the networks that it names."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from training.architectures import build, with_probabilities
from training.errors import RecipeError
from training.recipes import RECIPES, find

# As the documents print them: input, parameters, epochs, batch, optimiser.
DOCUMENTED = {
    "fashion-cnn": ((28, 28, 1), 243_786, 5, 32, "adam"),
    "flowers-cnn": ((180, 180, 3), 3_989_285, 10, 32, "adam"),
    "digits-cnn": ((28, 28, 1), 243_786, 10, 32, "adam"),
}
# Layers with their output shapes, as the documents' summaries print them.
FASHION = "Rescaling Conv2D26 MaxPooling2D13 Conv2D11 MaxPooling2D5 Flatten1600 Dense128 Dense10"
FLOWERS = (
    "Rescaling Conv2D180 MaxPooling2D90 Conv2D90 MaxPooling2D45 Conv2D45 MaxPooling2D22"
    " Flatten30976 Dense128 Dense5"
)
LAYERS = {"fashion-cnn": FASHION, "flowers-cnn": FLOWERS, "digits-cnn": FASHION}


def test_the_table_has_the_recipes_of_this_page() -> None:
    assert list(RECIPES) == list(DOCUMENTED)
    assert all(recipe.name == name for name, recipe in RECIPES.items())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_recipe_is_as_documented(name: str) -> None:
    recipe = find(name)
    size = (recipe.input.height, recipe.input.width, recipe.input.channels)
    assert (size, recipe.parameters, recipe.epochs, recipe.batch, recipe.optimizer) == DOCUMENTED[
        name
    ]
    assert recipe.seed == 123
    assert recipe.expected
    assert 0 < recipe.least_accuracy < 1


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_network_has_the_documented_layers_and_parameters(name: str) -> None:
    recipe = find(name)
    model = build(recipe, recipe.classes)
    assert model.count_params() == recipe.parameters
    shown = [
        type(layer).__name__
        + ("" if isinstance(layer, keras.layers.Rescaling) else str(layer.output.shape[1]))
        for layer in model.layers
    ]
    assert " ".join(shown) == LAYERS[name]
    assert model.layers[-1].activation.__name__ == (
        "linear" if recipe.head == "logits" else "softmax"
    )


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_inference_model_gives_probabilities(name: str) -> None:
    recipe = find(name)
    model = with_probabilities(build(recipe, 3), recipe)
    (images,) = model.inputs
    size = (recipe.input.height, recipe.input.width, recipe.input.channels)
    assert (images.shape, images.dtype, images.name) == ((None, *size), "uint8", "images")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    probabilities = model.predict(pixels, verbose=0)
    assert probabilities.shape == (2, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()


def test_an_unknown_recipe_lists_those_that_there_are() -> None:
    with pytest.raises(RecipeError, match="no recipe 'resnet'; there are digits-cnn, fashion-cnn"):
        find("resnet")


@pytest.mark.integration
def test_the_table_loads_no_tensorflow() -> None:
    check = (
        "import sys, training.recipes; print([name for name in ('tensorflow', 'keras', 'sklearn')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
