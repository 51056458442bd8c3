"""What a user may change of a recipe for one fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from contract.pixels import PixelRule
from training.errors import RecipeError
from training.recipes.recipe import Backbone, Optimizer, Precision, Recipe, Stage

#: Says that a recipe's augmentation is to be left out.
NO_AUGMENTATION = "none"
_FINE_TUNING_RATE = 1e-5


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What a user may set; None takes the recipe's value.

    Attributes:
        given: class folders or an .npz file to learn from, instead of the recipe's data set.
        classes: only these classes of the data; all if empty.
        skip_bad: leave out files that can't be used.
        epochs, optimizer, learning_rate, decay: of the first stage.
        fine_tune: epochs of a second stage in which the backbone's last layers are trained too.
        fine_tune_from: name of the first of these layers.
        fine_tune_rate: learning rate of this stage.
        weights, alpha: of the backbone.
        pixel_rule: of the model's input; the gateway then makes its pixels by it.
        augmentation: name of a policy, or "none".
        batch, seed, validation_share, loss, stop_at_accuracy, patience, precision: as in the
            recipe.
        class_weights: as in the recipe; False takes the recipe's.
        device: auto takes GPUs where there are any.
        replicas: with the device cpu: this many logical devices, to see what several GPUs would do.
        tensorboard: write logs for TensorBoard.
        tiny: only a few batches, to see that all works.
        command: what the user typed.
    """

    given: Path | None = None
    classes: tuple[str, ...] = ()
    skip_bad: bool = False
    epochs: int | None = None
    optimizer: Literal["sgd", "adam", "rmsprop"] | None = None
    learning_rate: float | None = None
    decay: float | None = None
    fine_tune: int | None = None
    fine_tune_from: str | None = None
    fine_tune_rate: float | None = None
    weights: str | None = None
    alpha: float | None = None
    pixel_rule: PixelRule | None = None
    augmentation: str | None = None
    batch: int | None = None
    seed: int | None = None
    validation_share: float | None = None
    loss: Literal["sparse_categorical_crossentropy", "categorical_crossentropy"] | None = None
    stop_at_accuracy: float | None = None
    patience: int | None = None
    class_weights: bool = False
    precision: Precision | None = None
    device: Literal["auto", "cpu", "gpu"] = "auto"
    replicas: int = 1
    tensorboard: bool = False
    tiny: bool = False
    command: str = ""


def apply(recipe: Recipe, options: FitOptions) -> Recipe:
    """Returns the recipe with what the user changed.

    Raises:
        RecipeError: an option does not fit the recipe.
    """
    given = {
        name: getattr(options, name)
        for name in (
            "batch",
            "seed",
            "validation_share",
            "loss",
            "stop_at_accuracy",
            "patience",
            "precision",
        )
        if getattr(options, name) is not None
    }
    if options.class_weights:
        given["class_weights"] = True
    if options.pixel_rule is not None:
        if recipe.input is None:
            raise RecipeError(f"{recipe.name} takes no pictures: --pixel-rule does not fit it")
        given["input"] = replace(recipe.input, pixel_rule=options.pixel_rule)
    if options.augmentation is not None:
        none = options.augmentation == NO_AUGMENTATION
        given["augmentation"] = None if none else options.augmentation
    changed = replace(
        recipe, stages=_stages(recipe, options), backbone=_backbone(recipe, options), **given
    )
    _check(changed)
    return changed


def _stages(recipe: Recipe, options: FitOptions) -> tuple[Stage, ...]:
    if not recipe.stages:
        if options.epochs is not None:
            raise RecipeError(f"{recipe.name} has nothing to fit: --epochs does not fit it")
        return ()
    first, *later = recipe.stages
    changes: dict[str, Any] = {
        "name": options.optimizer,
        "learning_rate": options.learning_rate,
        "decay": options.decay,
    }
    optimizer = replace(
        first.optimizer, **{key: value for key, value in changes.items() if value is not None}
    )
    if options.optimizer is not None and options.learning_rate is None:
        # A rate that was chosen for another optimiser means nothing for this one.
        optimizer = replace(optimizer, learning_rate=None)
    epochs = first.epochs if options.epochs is None else options.epochs
    stages = [replace(first, epochs=epochs, optimizer=optimizer), *later]
    return tuple(_with_fine_tuning(recipe, options, stages))


def _with_fine_tuning(recipe: Recipe, options: FitOptions, stages: list[Stage]) -> list[Stage]:
    asked = (options.fine_tune, options.fine_tune_from, options.fine_tune_rate)
    if all(value is None for value in asked):
        return stages
    if recipe.backbone is None:
        raise RecipeError(f"{recipe.name} has no backbone to fine-tune")
    rate = Optimizer(name=stages[0].optimizer.name, learning_rate=_FINE_TUNING_RATE)
    # "" is the backbone's last block, which only `training.networks.backbones` knows.
    stage = stages[1] if len(stages) > 1 else Stage(epochs=5, optimizer=rate, unfreeze="")
    if options.fine_tune is not None:
        stage = replace(stage, epochs=options.fine_tune)
    if options.fine_tune_from is not None:
        stage = replace(stage, unfreeze=options.fine_tune_from)
    if options.fine_tune_rate is not None:
        optimizer = replace(stage.optimizer, learning_rate=options.fine_tune_rate)
        stage = replace(stage, optimizer=optimizer)
    return [stages[0], stage] if stage.epochs else stages[:1]


def _backbone(recipe: Recipe, options: FitOptions) -> Backbone | None:
    backbone = recipe.backbone
    if backbone is None:
        if options.weights is not None or options.alpha is not None:
            raise RecipeError(f"{recipe.name} has no backbone: --weights and --alpha don't fit it")
        return None
    if options.alpha is not None:
        if backbone.name != "MobileNetV2":
            raise RecipeError(f"{recipe.name}: --alpha is for MobileNetV2, not {backbone.name}")
        backbone = replace(backbone, alpha=options.alpha)
    return backbone if options.weights is None else replace(backbone, weights=options.weights)


def _check(recipe: Recipe) -> None:
    if recipe.task == "classification":
        return
    for name in ("augmentation", "stop_at_accuracy", "class_weights"):
        if getattr(recipe, name):
            raise RecipeError(
                f"{recipe.name} is no classifier: {name.replace('_', ' ')} does not fit it"
            )
