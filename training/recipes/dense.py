"""Dense networks, on images and on one number."""

from __future__ import annotations

from contract.pixels import PixelSpec
from training.recipes.recipe import Optimizer, Recipe, Stage

_GREY_28 = PixelSpec(height=28, width=28, channels=1)
_FIVE_OF_SGD = (Stage(epochs=5, optimizer=Optimizer(name="sgd")),)

RECIPES = (
    Recipe(
        name="mnist-mlp",
        document="E 5.3",
        data="mnist",
        classes=10,
        input=_GREY_28,
        architecture="mlp_10_sigmoid",
        loss="categorical_crossentropy",
        stages=_FIVE_OF_SGD,
        parameters=7_960,
        headline="test 0.8661",
        expected="test accuracy ≈ 0.866",
        least_accuracy=0.84,
    ),
    Recipe(
        name="fashion-mlp-sgd",
        document="E 5.8",
        data="fashion-mnist",
        classes=10,
        input=_GREY_28,
        architecture="mlp_10_sigmoid",
        stages=_FIVE_OF_SGD,
        parameters=7_960,
        headline="test 0.7463",
        expected="test accuracy ≈ 0.75: sgd is slow",
        least_accuracy=0.70,
    ),
    Recipe(
        name="fashion-mlp-adam",
        document="E 5.8",
        data="fashion-mnist",
        classes=10,
        input=_GREY_28,
        architecture="mlp_10_sigmoid",
        stages=(Stage(epochs=5),),
        parameters=7_960,
        headline="test 0.8373",
        expected="test accuracy ≈ 0.84: the same network, another optimiser",
        least_accuracy=0.82,
    ),
    Recipe(
        name="fashion-mlp-128",
        document="A 2",
        data="fashion-mnist",
        classes=10,
        input=_GREY_28,
        architecture="mlp_128_relu",
        stages=(Stage(epochs=5),),
        parameters=101_770,
        expected="test accuracy ≈ 0.87",
        least_accuracy=0.84,
    ),
    Recipe(
        name="fashion-mlp-512",
        document="A 3",
        data="fashion-mnist",
        classes=10,
        input=_GREY_28,
        architecture="mlp_512_relu",
        stages=(Stage(epochs=5),),
        stop_at_accuracy=0.60,
        parameters=407_050,
        headline="stops after epoch 1 at 0.8279",
        expected="a training accuracy of 0.60 stops it after epoch 1",
        least_accuracy=0.80,
    ),
    Recipe(
        name="single-neuron",
        document="A 1.1",
        task="regression",
        data="line",
        classes=0,
        input=None,
        architecture="single_neuron",
        stages=(Stage(epochs=500, optimizer=Optimizer(name="sgd")),),
        parameters=2,
        expected="learns y = 2x − 1 from six points: 19 ± 0.1 for x = 10",
    ),
)
