"""Numbers and settings in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from training.recipes.recipe import Optimizer, Recipe, Stage

NONE = "–"


def percent(share: float | None) -> str:
    """0.6128 → 61.3%."""
    return NONE if share is None or not math.isfinite(share) else f"{share:.1%}"


def points(difference: float | None) -> str:
    """0.311 → 31.1."""
    return NONE if difference is None else f"{100 * difference:.1f}".replace("-", "−")


def number(value: float | None, digits: int = 4) -> str:
    """0.61283 → 0.6128."""
    if value is None or not math.isfinite(value):
        return NONE
    if value and abs(value) < 10**-digits:
        return f"{value:.1e}".replace("-", "−")
    return f"{value:.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    """3989285 → 3,989,285."""
    return NONE if value is None else f"{value:,}"


def shape(sides: Sequence[int | None]) -> str:
    """(None, 180, 180, 3) → any×180×180×3."""
    return "×".join("any" if side is None else str(side) for side in sides) or "scalar"


def duration(seconds: float | None) -> str:
    """75.2 → 1 min 15 s."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def optimizer(chosen: Optimizer) -> str:
    """Says in words what an optimiser is."""
    rate = chosen.learning_rate
    text = chosen.name + (
        ", Keras's learning rate" if rate is None else f", learning rate {rate:g}"
    )
    return text if chosen.decay == 1 else f"{text}, × {chosen.decay:g} after each epoch"


def stage(part: Stage, recipe: Recipe) -> str:
    """Says in words what a stage of a fit is."""
    text = f"at most {part.epochs} epoch{'' if part.epochs == 1 else 's'}"
    text += f"; {optimizer(part.optimizer)}"
    if recipe.backbone is None:
        return text
    if part.unfreeze is None:
        return f"{text}; {recipe.backbone.name} frozen"
    return f"{text}; {recipe.backbone.name} trained from {part.unfreeze} on"


def settings(recipe: Recipe) -> list[tuple[str, str]]:
    """Returns (name, value) of what a fit was asked to do, for a person to read."""
    lines = [("task", recipe.task), ("architecture", recipe.architecture)]
    if recipe.input is not None:
        spec = recipe.input
        lines.append(("input", f"{shape((spec.height, spec.width, spec.channels))}, uint8"))
        lines.append(("pixel rule", str(spec.pixel_rule)))
    if recipe.backbone is not None:
        lines.append(("backbone", _backbone(recipe)))
    if recipe.task == "classification":
        lines += [("head", recipe.head), ("loss", recipe.loss)]
    if recipe.task == "features":
        return [*lines, ("fit", "none: the weights are taken as they are")]
    several = len(recipe.stages) > 1
    for position, part in enumerate(recipe.stages):
        lines.append((f"stage {position + 1}" if several else "fit", stage(part, recipe)))
    patience = "no" if recipe.patience is None else f"after {recipe.patience} epochs without a gain"
    lines += [
        ("batch", str(recipe.batch)),
        ("seed", str(recipe.seed)),
        ("held out", f"{recipe.validation_share:.0%} validation, {recipe.test_share:.0%} test"),
        ("augmentation", recipe.augmentation or "none"),
        ("early stopping", patience),
        ("class weights", "yes" if recipe.class_weights else "no"),
        ("precision", recipe.precision),
    ]
    if recipe.stop_at_accuracy is not None:
        lines.append(("stops at", f"{recipe.stop_at_accuracy:.1%} training accuracy"))
    return lines


def _backbone(recipe: Recipe) -> str:
    chosen = recipe.backbone
    assert chosen is not None
    text = f"{chosen.name}, weights {chosen.weights}"
    if chosen.cut:
        text += f", cut at {chosen.cut}"
    if chosen.upsample:
        text += f", on pictures enlarged to {chosen.upsample}×{chosen.upsample}"
    return text if chosen.alpha == 1 else f"{text}, α = {chosen.alpha:g}"
