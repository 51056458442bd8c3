"""Several runs side by side: numbers, what differs between their recipes, curves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ContractError
from contract.files import write_whole
from contract.manifest import Manifest
from contract.run_folder import RunFolder
from training.columns import columns
from training.errors import RunError
from training.evaluation.report import Classification, read_report
from training.pictures.curves import Line, curves
from training.pictures.theme import DARK, LIGHT, Theme
from training.report import words
from training.report.differences import Difference, differences, labels
from training.report.figures import Plan, Shown, draw
from training.report.history import History, read_history
from training.report.tables import Table
from training.report.template import render
from training.run import RunConfig, read_config


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """The numbers of a run; None is what nobody measured.

    Attributes:
        label: short, and unlike that of the other runs.
        run: the run folder's name.
        recipe, data, optimizer, augmentation: how it was made, in words.
        parameters: number of weights.
        epochs, kept: how many ran, and the one whose weights these are.
        training, validation: accuracy in the kept epoch.
        gap: training − validation.
        accuracy, loss, calibration_error: on the test set.
        seconds: that the epochs took.
    """

    label: str
    run: str
    recipe: str
    data: str
    optimizer: str
    augmentation: str
    parameters: int
    epochs: int
    kept: int
    training: float | None
    validation: float | None
    gap: float | None
    accuracy: float
    loss: float
    calibration_error: float
    seconds: float | None


@dataclass(frozen=True)
class Comparison:
    """Several runs, the settings in which they differ, and the page that shows them."""

    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    page: Path


@dataclass(frozen=True)
class _Material:
    config: RunConfig
    manifest: Manifest
    scores: Classification
    history: History


def compare(runs: Sequence[RunFolder], page: Path) -> Comparison:
    """Compares runs and writes a page of its own that shows them.

    Args:
        runs: complete ones of classifications, in the order in which they are shown.
        page: the file to write; its folder is made.

    Raises:
        RunError: fewer than two runs, one that is not complete, or one of another task; the text
            names all that are wrong.
    """
    if len(runs) < 2:
        raise RunError("a comparison needs at least two runs")
    materials = _read(runs)
    configs = [material.config for material in materials]
    pairs = zip(labels(configs), materials, strict=True)
    compared = tuple(_compared(label, material) for label, material in pairs)
    found = differences(configs)
    comparison = Comparison(compared, tuple(found), page)
    content = render(
        "compare.html.j2",
        comparison=comparison,
        numbers=_numbers(comparison),
        settings=_settings(comparison),
        pictures=_pictures(comparison, materials),
        light=LIGHT,
        dark=DARK,
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, content.encode(errors="replace"))
    return comparison


def table(comparison: Comparison) -> Iterator[str]:
    """Yields the lines of a comparison for a terminal: heads, a line per run, what differs."""
    numbers = _numbers(comparison)
    right = set(range(numbers.texts, len(numbers.heads)))
    yield from columns([numbers.heads, *numbers.rows], right)
    for difference in comparison.differences:
        yield f"differs: {difference}"


def _read(runs: Sequence[RunFolder]) -> list[_Material]:
    materials, wrong = [], []
    for run in runs:
        try:
            config, manifest = read_config(run), run.manifest()
            scores = read_report(run).classification
        except (RunError, ContractError) as error:
            text = str(error)
            wrong.append(text if str(run.folder) in text else f"{run.folder}: {text}")
            continue
        if scores is None:
            task = config.recipe.task
            wrong.append(f"{run.folder}: a run of {task}; only classifications can be compared")
            continue
        materials.append(_Material(config, manifest, scores, read_history(run.history)))
    if wrong:
        raise RunError("\n".join(wrong))
    return materials


def _compared(label: str, material: _Material) -> ComparedRun:
    config, manifest, history = material.config, material.manifest, material.history
    kept = manifest.fit.epoch_kept
    training, validation = history.at("accuracy", kept), history.at("val_accuracy", kept)
    gap = None if training is None or validation is None else training - validation
    names = dict.fromkeys(stage.optimizer.name for stage in config.recipe.stages)
    return ComparedRun(
        label=label,
        run=config.run,
        recipe=config.recipe.name,
        data=config.data,
        optimizer=", ".join(names) or words.NONE,
        augmentation=config.recipe.augmentation or "none",
        parameters=manifest.parameters,
        epochs=manifest.fit.epochs,
        kept=kept,
        training=training,
        validation=validation,
        gap=gap,
        accuracy=material.scores.accuracy,
        loss=material.scores.loss,
        calibration_error=material.scores.calibration.error,
        seconds=history.total("seconds"),
    )


_COLUMNS: tuple[tuple[str, Callable[[ComparedRun], str]], ...] = (
    ("run", lambda run: run.label),
    ("data", lambda run: run.data),
    ("optimizer", lambda run: run.optimizer),
    ("augmentation", lambda run: run.augmentation),
    ("parameters", lambda run: words.count(run.parameters)),
    ("epochs", lambda run: str(run.epochs)),
    ("kept", lambda run: str(run.kept or words.NONE)),
    ("training", lambda run: words.percent(run.training)),
    ("validation", lambda run: words.percent(run.validation)),
    ("gap, points", lambda run: words.points(run.gap)),
    ("test", lambda run: words.percent(run.accuracy)),
    ("loss", lambda run: words.number(run.loss, 3)),
    ("ECE", lambda run: words.number(run.calibration_error, 3)),
    ("time", lambda run: words.duration(run.seconds)),
)


def _numbers(comparison: Comparison) -> Table:
    rows = tuple(tuple(cell(run) for _, cell in _COLUMNS) for run in comparison.runs)
    return Table(tuple(head for head, _ in _COLUMNS), rows, texts=4)


def _settings(comparison: Comparison) -> Table | None:
    if not comparison.differences:
        return None
    heads = ("setting", *(run.label for run in comparison.runs))
    rows = tuple((found.setting, *found.values) for found in comparison.differences)
    return Table(heads, rows, texts=len(heads))


def _pictures(comparison: Comparison, materials: Sequence[_Material]) -> list[Shown]:
    plans = []
    for column, title in (
        ("val_accuracy", "Validation accuracy"),
        ("accuracy", "Training accuracy"),
        ("val_loss", "Validation loss"),
        ("loss", "Training loss"),
    ):
        shown = [
            (run, material)
            for run, material in zip(comparison.runs, materials, strict=True)
            if material.history.has(column)
        ]
        if shown:
            draw_it = functools.partial(_overlay, comparison, materials, column, title)
            alt = f"{title} per epoch of {', '.join(run.label for run, _ in shown)}."
            plans.append(Plan(name=column, section="curves", draw=draw_it, alt=alt))
    return [draw(plan)[0] for plan in plans]


def _overlay(
    comparison: Comparison,
    materials: Sequence[_Material],
    column: str,
    title: str,
    theme: Theme,
) -> bytes:
    lines = [
        Line(
            label=run.label,
            epochs=material.history.epochs,
            values=material.history.columns[column],
            colour=theme.runs[number % len(theme.runs)],
            dashed=number >= len(theme.runs),
            kept=run.kept,
        )
        for number, (run, material) in enumerate(zip(comparison.runs, materials, strict=True))
        if material.history.has(column)
    ]
    return curves(lines, theme, title=title, percent=column.endswith("accuracy"))
