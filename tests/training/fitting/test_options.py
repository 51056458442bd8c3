"""What a user may change of a recipe."""

from dataclasses import replace
from pathlib import Path

import pytest

from contract.pixels import PixelSpec
from training.errors import RecipeError
from training.fitting.options import FitOptions, apply
from training.recipes import RECIPES, find
from training.recipes.recipe import Optimizer, Stage


@pytest.mark.parametrize("name", RECIPES)
def test_without_options_a_recipe_is_as_it_is(name: str) -> None:
    assert apply(find(name), FitOptions()) == find(name)


def test_what_is_given_takes_the_recipes_place() -> None:
    options = FitOptions(
        epochs=3,
        batch=8,
        seed=5,
        validation_share=0.2,
        learning_rate=0.1,
        decay=0.5,
        augmentation="flip",
        stop_at_accuracy=0.9,
        patience=2,
        class_weights=True,
        precision="mixed_float16",
        loss="categorical_crossentropy",
    )
    recipe = apply(find("fashion-cnn"), options)
    assert recipe.stages == (
        Stage(epochs=3, optimizer=Optimizer(name="adam", learning_rate=0.1, decay=0.5)),
    )
    assert (recipe.batch, recipe.seed, recipe.validation_share) == (8, 5, 0.2)
    assert (recipe.augmentation, recipe.stop_at_accuracy, recipe.patience) == ("flip", 0.9, 2)
    assert recipe.class_weights
    assert (recipe.precision, recipe.loss) == ("mixed_float16", "categorical_crossentropy")


def test_zero_is_given_too() -> None:
    assert apply(find("flowers-cnn"), FitOptions(validation_share=0.0)).validation_share == 0
    assert apply(find("fashion-cnn"), FitOptions(seed=0)).seed == 0


def test_the_pixel_rule_is_the_inputs() -> None:
    plain = find("flowers-cnn")
    recipe = apply(plain, FitOptions(pixel_rule=2))
    assert recipe.input == PixelSpec(height=180, width=180, channels=3, pixel_rule=2)
    assert replace(recipe, input=plain.input) == plain
    with pytest.raises(RecipeError, match="takes no pictures: --pixel-rule"):
        apply(find("single-neuron"), FitOptions(pixel_rule=1))


def test_augmentation_can_be_left_out() -> None:
    recipe = apply(find("flowers-cnn-augmented"), FitOptions(augmentation="none"))
    assert recipe.augmentation is None


def test_another_optimiser_begins_with_its_own_rate() -> None:
    (stage,) = apply(find("cats-vs-dogs-cnn"), FitOptions(optimizer="sgd")).stages
    assert stage.optimizer == Optimizer(name="sgd", learning_rate=None)
    (stage,) = apply(
        find("cats-vs-dogs-cnn"), FitOptions(optimizer="sgd", learning_rate=0.5)
    ).stages
    assert stage.optimizer.learning_rate == 0.5


def test_fine_tuning_is_a_second_stage() -> None:
    head, tuning = apply(find("mobilenet-v2-transfer"), FitOptions(fine_tune=4)).stages
    assert head == find("mobilenet-v2-transfer").stages[0]
    assert (tuning.epochs, tuning.optimizer.learning_rate, tuning.unfreeze) == (4, 1e-5, "")
    options = FitOptions(fine_tune_from="block_10_expand", fine_tune_rate=1e-6)
    _, tuning = apply(find("mobilenet-v2-transfer"), options).stages
    assert (tuning.unfreeze, tuning.optimizer.learning_rate) == ("block_10_expand", 1e-6)


def test_a_recipes_own_fine_tuning_can_be_changed_and_left_out() -> None:
    _, tuning = apply(find("vgg16-fine-tuning"), FitOptions(fine_tune=2)).stages
    assert (tuning.epochs, tuning.unfreeze) == (2, "block5_conv1")
    assert len(apply(find("vgg16-fine-tuning"), FitOptions(fine_tune=0)).stages) == 1


def test_backbone_options() -> None:
    recipe = apply(find("mobilenet-v2-transfer"), FitOptions(weights="mine.h5", alpha=1.4))
    assert recipe.backbone is not None
    assert (recipe.backbone.weights, recipe.backbone.alpha) == ("mine.h5", 1.4)


WRONG = [
    ("fashion-cnn", {"weights": "none"}, "fashion-cnn has no backbone: --weights and --alpha"),
    ("fashion-cnn", {"fine_tune": 3}, "fashion-cnn has no backbone to fine-tune"),
    ("vgg16-fine-tuning", {"alpha": 1.4}, "--alpha is for MobileNetV2, not VGG16"),
    ("single-neuron", {"augmentation": "flip"}, "single-neuron is no classifier: augmentation"),
    ("single-neuron", {"class_weights": True}, "single-neuron is no classifier: class weights"),
    ("tema3-block", {"epochs": 3}, "tema3-block has nothing to fit"),
]


@pytest.mark.parametrize(("name", "options", "text"), WRONG)
def test_what_does_not_fit_is_an_error(name: str, options: dict[str, object], text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        apply(find(name), FitOptions(**options))


def test_options_are_hashable_and_paths_stay_paths() -> None:
    assert FitOptions(given=Path("a")).given == Path("a")
