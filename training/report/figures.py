"""The pictures of a report: which there are, and how each is drawn in both themes."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.files import write_whole
from contract.run_folder import RunFolder
from training.pictures import counts, reliability
from training.pictures.confusion import MOST_NUMBERS, confusion
from training.pictures.curves import Line, curves
from training.pictures.predictions import Prediction, predictions
from training.pictures.regression import regression
from training.pictures.theme import DARK, LIGHT, Theme
from training.report import words
from training.report.history import borders
from training.report.material import SEED, Material

#: The parts of the page that have pictures.
SECTIONS = (
    "data",
    "curves",
    "predictions",
    "mistakes",
    "classes",
    "reliability",
    "regression",
    "filters",
    "feature_maps",
)
_SAMPLES = 9
_CURVES = (("accuracy", "Accuracy"), ("loss", "Loss"))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A picture that can be drawn.

    Attributes:
        name: of its file, without suffix.
        section: one of SECTIONS.
        draw: a theme → a PNG.
        alt: what one who can't see it has to know.
        caption: below it.
    """

    name: str
    section: str
    draw: Callable[[Theme], bytes]
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Shown:
    """A picture as the page has it: both PNGs as data URIs, its size in pixels."""

    name: str
    light: str
    dark: str
    width: int
    height: int
    alt: str
    caption: str


def draw(plan: Plan) -> tuple[Shown, bytes, bytes]:
    """Draws a picture for both themes; returns it for a page, and the PNGs."""
    light, dark = plan.draw(LIGHT), plan.draw(DARK)
    # The size stands in a PNG's header; with it a page does not jump while it loads.
    width, height = (int.from_bytes(light[at : at + 4], "big") for at in (16, 20))
    shown = Shown(plan.name, _uri(light), _uri(dark), width, height, plan.alt, plan.caption)
    return shown, light, dark


def write(
    run: RunFolder, plans: Sequence[Plan], say: Callable[[str], None]
) -> dict[str, list[Shown]]:
    """Draws pictures into the run folder and returns them by section, none for some.

    One that can't be drawn is left out, and said: a fit of hours must not lack a report for it.
    """
    dark_folder = run.pictures / "dark"
    dark_folder.mkdir(parents=True, exist_ok=True)
    for old in (*run.pictures.glob("*.png"), *dark_folder.glob("*.png")):
        old.unlink()
    sections: dict[str, list[Shown]] = {name: [] for name in SECTIONS}
    for plan in plans:
        try:
            shown, light, dark = draw(plan)
        except Exception as error:
            say(f"report: without the picture {plan.name}: {type(error).__name__}: {error}")
            continue
        write_whole(run.pictures / f"{plan.name}.png", light)
        write_whole(dark_folder / f"{plan.name}.png", dark)
        sections[plan.section].append(shown)
    return sections


def plans(material: Material) -> Iterator[Plan]:
    """Yields the pictures that a run has data for, in the page's order."""
    yield from _of_data(material)
    yield from _of_fit(material)
    if material.report.classification is not None:
        yield from _of_classification(material)
    if material.report.regression is not None and len(material.targets):
        yield Plan(
            name="regression",
            section="regression",
            draw=functools.partial(regression, material.targets, material.outputs),
            alt="Predicted values over true ones; on the diagonal they are the same.",
        )
    if material.model is not None and material.shows_pictures:
        yield from _of_model(material)


def _of_data(material: Material) -> Iterator[Plan]:
    classes = material.facts.classes
    if classes:
        few = len(counts.chosen(classes))
        caption = "" if few == len(classes) else f"The {few // 2} largest and the smallest classes."
        yield Plan(
            name="counts",
            section="data",
            draw=functools.partial(counts.counts, classes),
            alt="Pictures of each class in training, validation and test set; the table has them.",
            caption=caption,
        )
    if material.config.recipe.augmentation is not None and material.shows_pictures:
        yield Plan(
            name="augmentation",
            section="data",
            draw=functools.partial(_augmentation, material),
            alt="A test picture and nine augmented versions of it.",
            caption=f"Augmentation “{material.config.recipe.augmentation}”: what the fit may have"
            " seen of a picture. The exported model has nothing of it.",
        )


def _augmentation(material: Material, theme: Theme) -> bytes:
    from training.networks.augmentation import layers_of
    from training.pictures.augmentation import preview

    return preview(material.picture(), layers_of(material.config.recipe.augmentation), theme, SEED)


def _of_fit(material: Material) -> Iterator[Plan]:
    history = material.history
    for column, title in _CURVES:
        if history.has(column) or history.has(f"val_{column}"):
            yield Plan(
                name=f"curve_{column}",
                section="curves",
                draw=functools.partial(_curve, material, column, title),
                alt=_curve_in_words(material, column, title),
            )
    rates = history.columns.get("learning_rate", ())
    if len(set(rates)) > 1:
        yield Plan(
            name="curve_learning_rate",
            section="curves",
            draw=functools.partial(_learning_rate, material),
            alt=f"Learning rate per epoch, from {rates[0]:g} to {rates[-1]:g}.",
        )


def _curve(material: Material, column: str, title: str, theme: Theme) -> bytes:
    history = material.history
    sets = (
        ("training", column, theme.train),
        ("validation", f"val_{column}", theme.validation),
    )
    lines = [
        Line(
            label=name,
            epochs=history.epochs,
            values=history.columns[key],
            colour=colour,
            kept=material.kept,
        )
        for name, key, colour in sets
        if history.has(key)
    ]
    return curves(
        lines,
        theme,
        title=title,
        percent=column == "accuracy",
        kept=material.kept,
        borders=borders(material.config.recipe, history),
    )


def _curve_in_words(material: Material, column: str, title: str) -> str:
    history, kept = material.history, material.kept
    say = words.percent if column == "accuracy" else words.number
    text = f"{title} over {len(history.epochs)} epochs"
    for name, key in (("training", column), ("validation", f"val_{column}")):
        value = history.at(key, kept)
        if value is not None:
            text += f"; {name} in epoch {kept}: {say(value)}"
    return text + "."


def _learning_rate(material: Material, theme: Theme) -> bytes:
    history = material.history
    rates = history.columns["learning_rate"]
    line = Line(label="", epochs=history.epochs, values=rates, colour=theme.test)
    stages = borders(material.config.recipe, history)
    decades = min(rates) > 0 and max(rates) >= 10 * min(rates)
    return curves([line], theme, title="Learning rate", logarithmic=decades, borders=stages)


def _of_classification(material: Material) -> Iterator[Plan]:
    found, labels = material.report.classification, material.config.labels
    assert found is not None
    numbers = "" if len(labels) <= MOST_NUMBERS else " There are too many classes for numbers."
    yield Plan(
        name="confusion",
        section="classes",
        draw=functools.partial(confusion, np.asarray(found.confusion_matrix), labels),
        alt="Confusion matrix: how many pictures of each true class got each label.",
        caption="A row is a true class, a column what the model said; the stronger the colour,"
        f" the larger the share of the row.{numbers}",
    )
    if material.shows_pictures:
        yield from _of_predictions(material)
    if any(part.pictures for part in found.calibration.bins):
        yield Plan(
            name="reliability",
            section="reliability",
            draw=functools.partial(reliability.reliability, found.calibration),
            alt="Reliability diagram: accuracy over confidence; the expected calibration error is"
            f" {found.calibration.error:.3f}.",
        )


def _of_predictions(material: Material) -> Iterator[Plan]:
    found, labels = material.report.classification, material.config.labels
    assert found is not None
    chosen = material.spread(_SAMPLES)
    worst = [mistake.position for mistake in found.mistakes[:_SAMPLES]]
    if chosen:
        yield Plan(
            name="predictions",
            section="predictions",
            draw=lambda theme: predictions(_cells(material, chosen), labels, theme),
            alt=f"{len(chosen)} test pictures with their predictions.",
            caption="Spread over the classes, not chosen by how well they went.",
        )
    if worst:
        yield Plan(
            name="mistakes",
            section="mistakes",
            draw=lambda theme: predictions(_cells(material, worst), labels, theme),
            alt=f"The {len(worst)} worst mistakes; the table names them.",
            caption="The most certain of the wrong class first.",
        )


def _cells(material: Material, positions: Sequence[int]) -> list[Prediction]:
    return [
        Prediction(
            pixels=np.asarray(material.inputs[position]),
            label=int(material.targets[position]),
            probabilities=np.asarray(material.outputs[position]),
        )
        for position in positions
    ]


def _of_model(material: Material) -> Iterator[Plan]:
    from training.pictures import feature_maps, filters

    kernel = first_kernel(material.model)
    if kernel is not None:
        name, weights = kernel
        yield Plan(
            name="filters",
            section="filters",
            draw=functools.partial(filters.filters, weights),
            alt=f"The kernels of the convolution {name}.",
            caption=f"{name}: {filters.caption(weights)}",
        )
    if feature_maps.layers_with_maps(material.model):
        image = material.picture()
        shown = functools.cache(lambda: feature_maps.strips(material.model, image))
        yield Plan(
            name="feature_maps",
            section="feature_maps",
            draw=lambda theme: feature_maps.feature_maps(shown(), image, theme),
            alt="A test picture, and what the convolution and pooling layers make of it.",
            caption=feature_maps.caption(material.model),
        )


def first_kernel(model: Any) -> tuple[str, np.ndarray] | None:
    """Returns name and kernel [h, w, channels, filters] of the first convolution there is to see.

    A kernel of 1×1 shows nothing; it is taken only where there is no other.
    """
    from keras import layers

    from training.pictures.feature_maps import layers_with_maps

    found = [layer for layer in layers_with_maps(model) if type(layer) is layers.Conv2D]
    found.sort(key=lambda layer: max(layer.kernel_size) == 1)  # stable: else the model's order
    if not found:
        return None
    import keras

    return found[0].name, keras.ops.convert_to_numpy(found[0].kernel)


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
