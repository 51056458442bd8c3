"""The recipe table: as the documents print it, and without TensorFlow."""

import subprocess
import sys

import msgspec
import pytest

from training.data.sources import SOURCES
from training.errors import RecipeError
from training.recipes import RECIPES, find
from training.recipes.recipe import Recipe

# As the documents print them: document, input, parameters, epochs, batch, optimiser of each stage.
DOCUMENTED = {
    "mnist-mlp": ("E 5.3", (28, 28, 1), 7_960, 5, 32, "sgd"),
    "fashion-mlp-sgd": ("E 5.8", (28, 28, 1), 7_960, 5, 32, "sgd"),
    "fashion-mlp-adam": ("E 5.8", (28, 28, 1), 7_960, 5, 32, "adam"),
    "fashion-mlp-128": ("A 2", (28, 28, 1), 101_770, 5, 32, "adam"),
    "fashion-mlp-512": ("A 3", (28, 28, 1), 407_050, 5, 32, "adam"),
    "single-neuron": ("A 1.1", None, 2, 500, 32, "sgd"),
    "fashion-cnn": ("A 4.2", (28, 28, 1), 243_786, 5, 32, "adam"),
    "fashion-cnn-regularized": ("E 8.5", (28, 28, 1), 198_762, None, None, "adam"),
    "digits-cnn": ("our own", (28, 28, 1), 243_786, 10, 32, "adam"),
    "mnist-cnn": ("E 8.3", (28, 28, 1), 62_346, 5, 32, "sgd"),
    "horses-or-humans-cnn": ("A 5.1", (300, 300, 3), 40_165_409, 15, 128, "rmsprop"),
    "three-class-cnn": ("B 4", (300, 300, 3), 40_166_435, None, 128, "rmsprop"),
    "cats-vs-dogs-cnn": ("B 1-2", (150, 150, 3), 9_494_561, None, None, "rmsprop"),
    "cats-vs-dogs-tema3": ("C ex. 5", (160, 160, 3), 3_300_449, 10, 32, "adam"),
    "flowers-cnn": ("D", (180, 180, 3), 3_989_285, 10, 32, "adam"),
    "flowers-cnn-augmented": ("D", (180, 180, 3), 3_989_285, 15, 32, "adam"),
    "tema3-conv": ("C ex. 1", (None, None, 3), 1_216, 0, None, ""),
    "tema3-block": ("C ex. 2", (256, 256, 3), 13_280, 0, None, ""),
    "tema3-flatten": ("C ex. 3", (256, 256, 3), 2_046_001, None, None, "adam"),
    "tema3-gap": ("C ex. 4", (256, 256, 3), 14_385, None, None, "adam"),
    "gap-demo": ("C", (1000, 1500, 3), 644, None, None, "adam"),
    "inception-v3-transfer": ("B 3", (150, 150, 3), 47_512_481, 15, 32, "rmsprop"),
    "inception-v3-transfer-dropout": ("B 3.2", (150, 150, 3), 47_512_481, 15, 32, "rmsprop"),
    "vgg16-feature-extraction": ("E 11.2.2", (150, 150, 3), 16_812_353, 30, 32, "rmsprop"),
    "vgg16-fine-tuning": ("E 11.2.3", (150, 150, 3), 16_812_353, 40, 32, "rmsprop rmsprop"),
    "cifar10-resnet50": ("E 12.3.2", (32, 32, 3), 23_608_202, 15, 32, "adam adam"),
    "cifar10-vgg19": ("E 12.3.3", (32, 32, 3), 20_029_514, 15, 32, "adam adam"),
    "mobilenet-v2-transfer": ("our own", (160, 160, 3), 2_264_389, 10, 32, "adam"),
    "efficientnet-v2-b0-transfer": ("our own", (224, 224, 3), 5_925_717, 10, 32, "adam"),
}
#: Where the document says at which rate.
RATES = {
    "horses-or-humans-cnn": [1e-3],
    "three-class-cnn": [1e-3],
    "cats-vs-dogs-cnn": [1e-3],
    "inception-v3-transfer": [1e-4],
    "inception-v3-transfer-dropout": [1e-4],
    "vgg16-feature-extraction": [2e-5],
    "vgg16-fine-tuning": [2e-5, 1e-5],
    "cifar10-resnet50": [1e-3, 1e-5],
    "cifar10-vgg19": [1e-3, 1e-5],
    "mobilenet-v2-transfer": [1e-3],
    "efficientnet-v2-b0-transfer": [1e-3],
}


def test_the_table_has_the_recipes_of_this_page() -> None:
    assert list(RECIPES) == list(DOCUMENTED)
    assert all(recipe.name == name for name, recipe in RECIPES.items())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_recipe_is_as_documented(name: str) -> None:
    recipe = find(name)
    document, size, parameters, epochs, batch, optimizers = DOCUMENTED[name]
    assert (recipe.document, recipe.parameters) == (document, parameters)
    spec = recipe.input
    assert size == (None if spec is None else (spec.height, spec.width, spec.channels))
    assert epochs in (None, recipe.epochs)
    assert batch in (None, recipe.batch)
    assert " ".join(stage.optimizer.name for stage in recipe.stages) == optimizers
    if name in RATES:
        assert [stage.optimizer.learning_rate for stage in recipe.stages] == RATES[name]
    assert recipe.seed == 123
    assert recipe.expected


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_fits_its_data_set(recipe: Recipe) -> None:
    source = SOURCES[recipe.data]
    if recipe.task == "classification" and recipe.name != "gap-demo":
        assert recipe.classes == len(source.classes)
    assert recipe.task == "classification" or recipe.classes == 0
    if recipe.patience is not None:
        assert recipe.validation_share


def test_a_recipe_survives_being_written_down() -> None:
    for recipe in RECIPES.values():
        assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe


def test_an_unknown_recipe_lists_those_that_there_are() -> None:
    with pytest.raises(RecipeError, match="no recipe 'resnet'; there are cats-vs-dogs-cnn, "):
        find("resnet")


@pytest.mark.integration
def test_the_table_loads_no_tensorflow() -> None:
    check = (
        "import sys, training.recipes; print([name for name in ('tensorflow', 'keras', 'sklearn')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
