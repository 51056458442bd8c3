"""The recipe table: every model that Lince trains, as data. Importing it loads no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contract.pixels import PixelSpec
from training.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is made, and what is to be expected of it.

    Attributes:
        name: what the command line calls it.
        document: where it is printed.
        data: name of its data set in `training.data.catalog`.
        classes: number of classes of that data set.
        input: the pixels that the model sees.
        architecture: name of its builder in `training.architectures`.
        head: what the last layer gives: probabilities (softmax) or logits.
        optimizer: Keras's name; default arguments.
        epochs, batch, seed: of the fit; the seed also decides the split.
        validation_share: share of the pictures held out to choose the best epoch; 0: the last
            epoch is kept.
        test_share: share of the pictures held out for the test set, where the data set has none
            of its own.
        parameters: number of weights with `classes` classes.
        expected: the result, in words.
        least_accuracy: on the test set, for tests; what a sound fit never falls below.
    """

    name: str
    document: str
    data: str
    classes: int
    input: PixelSpec
    architecture: str
    head: Literal["softmax", "logits"]
    optimizer: str
    epochs: int
    batch: int = 32
    seed: int = 123
    validation_share: float = 0.0
    test_share: float = 0.0
    parameters: int
    expected: str
    least_accuracy: float


_GREY_28 = PixelSpec(height=28, width=28, channels=1)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fashion-cnn",
            document="A 4.2",
            data="fashion-mnist",
            classes=10,
            input=_GREY_28,
            architecture="fashion_cnn",
            head="softmax",
            optimizer="adam",
            epochs=5,
            parameters=243_786,
            expected="test accuracy ≥ 0.90 after 5 epochs: beats the dense nets",
            least_accuracy=0.90,
        ),
        Recipe(
            name="flowers-cnn",
            document="D",
            data="flowers",
            classes=5,
            input=PixelSpec(height=180, width=180, channels=3),
            architecture="flowers_cnn",
            head="logits",
            optimizer="adam",
            epochs=10,
            validation_share=0.1,
            test_share=0.1,
            parameters=3_989_285,
            expected="accuracy ≈ 0.60 on pictures it has not seen; it overfits",
            least_accuracy=0.50,
        ),
        Recipe(
            name="digits-cnn",
            document="our own",
            data="digits",
            classes=10,
            input=_GREY_28,
            architecture="fashion_cnn",
            head="softmax",
            optimizer="adam",
            epochs=10,
            test_share=0.2,
            parameters=243_786,
            expected="test accuracy ≥ 0.97; needs no download",
            least_accuracy=0.97,
        ),
    )
}


def find(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        RecipeError: there is none; the text lists those that there are.
    """
    if name not in RECIPES:
        raise RecipeError(f"no recipe {name!r}; there are {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
