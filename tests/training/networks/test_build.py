"""Every recipe's network: layers, parameters, heads, what is exported of it."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.training.helpers import KERAS_AND_NUMPY
from training.errors import RecipeError
from training.networks.build import build
from training.recipes import RECIPES, find
from training.recipes.recipe import without_weights

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_has_the_documented_parameters(name: str) -> None:
    recipe = without_weights(find(name))
    network = build(recipe, recipe.classes)
    assert network.inference.count_params() == recipe.parameters
    assert network.fit.count_params() == recipe.parameters
    if network.backbone is not None:
        assert network.head.count_params() + network.backbone.count_params() == recipe.parameters
        assert not network.backbone.trainable_weights


# Layers with their output shapes, as the documents' summaries print them.
FASHION = "Rescaling Conv2D26 MaxPooling2D13 Conv2D11 MaxPooling2D5 Flatten1600 Dense128 Dense10"
FLOWERS = (
    "Rescaling Conv2D180 MaxPooling2D90 Conv2D90 MaxPooling2D45 Conv2D45 MaxPooling2D22"
    " Flatten30976 Dense128 Dense5"
)
HORSES = (
    "Rescaling Conv2D298 MaxPooling2D149 Conv2D147 MaxPooling2D73 Conv2D71 MaxPooling2D35"
    " Flatten78400 Dense512 Dense1"
)
TEMA3 = "Rescaling Conv2D256 Conv2D126 MaxPooling2D63"
LAYERS = {
    "mnist-mlp": "Rescaling Flatten784 Dense10 Dense10",
    "fashion-mlp-512": "Rescaling Flatten784 Dense512 Dense10",
    "fashion-cnn": FASHION,
    "digits-cnn": FASHION,
    "mnist-cnn": "Rescaling Conv2D24 MaxPooling2D12 Conv2D8 MaxPooling2D4 Flatten1024 Dense10",
    "flowers-cnn": FLOWERS,
    "flowers-cnn-augmented": (
        "RandomFlip RandomRotation RandomZoom "
        + FLOWERS.replace("Flatten30976", "Dropout22 Flatten30976")
    ),
    "horses-or-humans-cnn": HORSES,
    "three-class-cnn": HORSES.replace("Dense1", "Dense3"),
    "cats-vs-dogs-tema3": (
        "Rescaling Conv2D160 MaxPooling2D80 Conv2D80 MaxPooling2D40 Conv2D40"
        " Flatten102400 Dense32 Dense1"
    ),
    "tema3-conv": "Rescaling Conv2DNone",
    "tema3-block": TEMA3,
    "tema3-flatten": f"{TEMA3} Flatten127008 Dense16 Dense32 Dense1",
    "tema3-gap": f"{TEMA3} GlobalAveragePooling2D32 Dense16 Dense32 Dense1",
    "gap-demo": "Rescaling Conv2D500 MaxPooling2D250 GlobalAveragePooling2D8 Dense32 Dense4",
    "single-neuron": "Dense1",
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_network_has_the_documented_layers(name: str) -> None:
    recipe = find(name)
    layers = build(recipe, recipe.classes).fit.layers[1:]  # the first is the input
    shown = [
        type(layer).__name__
        + ("" if type(layer).__name__.startswith("R") else str(layer.output.shape[1]))
        for layer in layers
    ]
    assert " ".join(shown) == LAYERS[name]


@pytest.mark.parametrize(
    ("name", "classes", "units", "activation"),
    [
        ("flowers-cnn", 5, 5, "linear"),
        ("flowers-cnn", 2, 2, "linear"),
        ("cats-vs-dogs-cnn", 2, 1, "sigmoid"),
        ("cats-vs-dogs-cnn", 3, 3, "softmax"),
        ("mobilenet-v2-transfer", 2, 1, "sigmoid"),
        ("inception-v3-transfer", 2, 1, "sigmoid"),
        ("inception-v3-transfer", 5, 5, "softmax"),
    ],
)
def test_the_head_fits_the_number_of_classes(
    name: str, classes: int, units: int, activation: str
) -> None:
    last = build(without_weights(find(name)), classes).fit.layers[-1]
    assert (last.units, last.activation.__name__) == (units, activation)


@pytest.mark.parametrize("name", ["mnist-mlp", "flowers-cnn", "cats-vs-dogs-tema3"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_inference_model_gives_probabilities(name: str, classes: int) -> None:
    recipe = find(name)
    network = build(recipe, classes)
    (images,) = network.inference.inputs
    size = (recipe.input.height, recipe.input.width, recipe.input.channels)
    assert (images.shape, images.dtype, images.name) == ((None, *size), "uint8", "images")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    probabilities = network.inference.predict(pixels, verbose=0)
    assert probabilities.shape == (2, classes)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()
    scores = network.fit.predict(pixels, verbose=0)
    if scores.shape[1] == 1:  # the probability of the second class
        np.testing.assert_array_equal(probabilities[:, 1:], scores)


def test_augmentation_is_in_the_fit_and_not_in_the_inference_model() -> None:
    network = build(find("flowers-cnn-augmented"), 5)
    names = [type(layer).__name__ for layer in network.inference.layers]
    assert not [name for name in names if name.startswith("Random")]
    images = np.random.default_rng(0).integers(0, 256, (2, 180, 180, 3), dtype=np.uint8)
    once, again = (np.asarray(network.fit(images, training=True)) for _ in range(2))
    assert not np.array_equal(once, again)
    alone = keras.ops.softmax(network.fit(images, training=False))
    np.testing.assert_allclose(alone, network.inference(images), atol=1e-6)


def test_a_fit_in_mixed_precision_has_weights_and_scores_in_float32() -> None:
    recipe = replace(find("fashion-cnn"), precision="mixed_bfloat16")
    network = build(recipe, 10)
    assert network.fit.layers[2].compute_dtype == "bfloat16"
    assert {weight.dtype for weight in network.fit.weights} == {"float32"}
    assert network.fit.layers[-1].compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_an_unknown_architecture_is_an_error() -> None:
    with pytest.raises(RecipeError, match="no architecture 'transformer'"):
        build(replace(find("fashion-cnn"), architecture="transformer"), 10)


def test_layers_are_named_as_the_documents_name_them() -> None:
    for _ in range(2):  # the second one's as the first one's
        names = [layer.name for layer in build(find("fashion-cnn"), 10).inference.layers]
        convolutions = ["conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1"]
        assert names == ["images", "rescaling", *convolutions, "flatten", "dense", "scores"]
